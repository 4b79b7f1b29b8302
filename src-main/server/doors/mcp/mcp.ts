import type { FastifyReply, FastifyRequest } from 'fastify';
import { WebSocket } from 'ws';
import { Studio } from '../../../../clients/js/zimage.js';
import type { AccessKey } from '../../access/access-key.ts';
import type { App } from '../../fastify-app.ts';
import { serverOrigin } from '../../server-address.ts';
import { type UploadGate, uploadPlace } from '../../upload-gate.ts';
import { callerOf } from '../caller.ts';
import { onDisconnect } from '../disconnect.ts';
import { originOf } from '../image-links.ts';
import { MAX_IMAGE_BODY_BYTES } from '../input-image.ts';

const MAX_CALLERS = 100;
/** Most calls bring no image, and wait for long. */
const SMALL_BODY_BYTES = 64 * 1024;

/** The Model Context Protocol over Streamable HTTP, in both of its eras. Source: https://modelcontextprotocol.io/specification */
export function registerMcp(app: App, { version, accessKey, gate }: { version: string; accessKey: AccessKey; gate: UploadGate }): void {
  // kept between requests, so that a cancellation still reaches a job whose request is gone
  const clients = new Map<string, Studio>();
  const clientOf = (caller: string): Studio => {
    const known = clients.get(caller);
    if (known !== undefined) return known;
    const [oldest] = clients.size < MAX_CALLERS ? [] : clients.keys();
    if (oldest !== undefined) clients.get(oldest)?.close();
    clients.delete(oldest ?? '');
    // a client like any other; that the caller may call was checked at its request
    const studio = new Studio({ url: ownOrigin(app), key: accessKey.text(), clientId: `mcp-${caller}`, WebSocket });
    clients.set(caller, studio);
    return studio;
  };

  const createHandler = async () => {
    const [{ createMcpHandler }, { createMcpServer }] = await Promise.all([import('@modelcontextprotocol/server'), import('./tools.ts')]);
    return createMcpHandler(
      ({ era, requestInfo, authInfo }) =>
        createMcpServer({
          studio: clientOf(authInfo?.clientId ?? ''),
          version,
          url: new URL(requestInfo?.url ?? ownOrigin(app)).origin,
          outputsFolder: null,
          readLocal: null,
          cancelsOnAbort: era === 'modern',
        }),
      { onerror: (error) => app.log.info({ err: error }, 'an MCP request failed') },
    );
  };
  // the first request loads the library, so that the start of the server does not wait for it
  let handler: ReturnType<typeof createHandler> | null = null;
  app.addHook('preClose', async () => {
    for (const studio of clients.values()) studio.close();
    await (await handler)?.close();
  });

  const place = uploadPlace(gate, MAX_IMAGE_BODY_BYTES);
  const placeForImages = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const isSmall = request.method !== 'POST' || Number(request.headers['content-length'] ?? MAX_IMAGE_BODY_BYTES) <= SMALL_BODY_BYTES;
    if (!isSmall) await place(request, reply);
  };
  for (const method of ['GET', 'POST', 'DELETE'] as const)
    app.route({
      method,
      url: '/mcp',
      bodyLimit: MAX_IMAGE_BODY_BYTES,
      onRequest: placeForImages,
      exposeHeadRoute: false, // fastify's own measures the body, which is a Response here
      schema: { tags: ['mcp'], summary: 'The Model Context Protocol over Streamable HTTP' },
      handler: async (request, reply) => {
        const gone = new AbortController();
        onDisconnect(request, reply, () => gone.abort());
        const headers = Object.entries(request.headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as [string, string]]));
        const asked = new Request(`${originOf(request)}/mcp`, {
          method,
          headers,
          signal: gone.signal,
          // the handler takes the parsed body; nested too deeply, it could not be written again
          ...(method === 'POST' ? { body: '{}' } : {}),
        });
        handler ??= createHandler();
        return reply.send(await (await handler).fetch(asked, { parsedBody: request.body, authInfo: { token: '', scopes: [], clientId: callerOf(request) } }));
      },
    });
}

function ownOrigin(app: App): string {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port');
  return serverOrigin({ host: address.address, port: address.port, pid: process.pid });
}
