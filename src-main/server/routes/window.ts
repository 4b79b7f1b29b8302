import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { App } from '../fastify-app.ts';
import { noWindowPage } from '../plain-pages.ts';

const NONCE_PLACE = '__CSP_NONCE__';

/** `GET /`: the window's page and its files, as built into `rendererDir`. */
export async function registerWindow(app: App, rendererDir: string): Promise<void> {
  const indexPath = join(rendererDir, 'index.html');
  const hidden = { schema: { hide: true } };
  app.get('/', hidden, async (_request, reply) => {
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache');
    if (!existsSync(indexPath)) return reply.send(noWindowPage());
    const html = await readFile(indexPath, 'utf8');
    // libraries that insert a style of their own at run time carry this nonce, so the policy needs no 'unsafe-inline'
    return reply.send(html.replaceAll(NONCE_PLACE, reply.cspNonce.style));
  });

  if (!existsSync(rendererDir)) return;
  await app.register(fastifyStatic, {
    root: rendererDir,
    prefix: '/',
    // a route for each file: what is not there is then refused like any other unknown address
    wildcard: false,
    globIgnore: ['index.html'],
    index: false,
    cacheControl: false,
    decorateReply: false,
    setHeaders: (reply, path) => {
      // the build names these after their content
      reply.header('cache-control', path.startsWith(join(rendererDir, 'assets')) ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
}
