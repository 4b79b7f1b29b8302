import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { z } from 'zod';
import { isRecord } from '#main/lib/is-record.ts';
import { encodePng } from '#main/lib/png.ts';
import { RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { exampleFile, exampleJobId, exampleRecipe, exampleResult } from '#shared/protocol/examples.ts';
import { clientMessageTypes, serverMessageSchema } from '#shared/protocol/messages.ts';
import { ask } from '../../../tests/doubles/ask.ts';
import { type StudioServer, startStudioServer } from '../../../tests/doubles/studio-server.ts';
import { createAsyncApi, documentMessages } from './asyncapi.ts';
import { httpGuide } from './http-guide.ts';

let server: StudioServer;
let png: Buffer;
beforeAll(async () => {
  png = await sharp({ create: { width: 300, height: 300, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  const pixels = { width: 4, height: 4, data: new Uint8Array(4 * 4 * 3) };
  const upscaled = await encodePng(pixels, [{ keyword: RECIPE_KEYWORD, text: JSON.stringify(exampleRecipe) }]);
  server = await startStudioServer({
    async prepare(folder) {
      await writeFile(join(folder, 'outputs', `${exampleFile}.png`), png);
      await writeFile(join(folder, 'outputs', exampleResult.upscaled_filename), upscaled);
    },
  });
});
afterAll(() => server.close());

describe('AsyncAPI', () => {
  const messages = documentMessages();

  test('every message of the schemas is there, with the right sender', () => {
    const names = (from: string) => messages.filter((message) => message.from === from).map(({ name }) => name);
    expect(names('client')).toEqual(['create_job', 'create_job.image_to_image', 'create_job.inpaint', 'create_job.upscale', ...clientMessageTypes.slice(1)]);
    expect(names('server')).toEqual(serverMessageSchema.options.map(({ shape }) => shape.type.value));
  });

  test('every reference leads somewhere', () => {
    const document = createAsyncApi('1.2.3');
    const references: string[] = [];
    JSON.stringify(document, (key, value) => {
      if (key === '$ref') references.push(String(value));
      return value;
    });
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      let target: unknown = document;
      for (const part of reference.slice(2).split('/')) target = isRecord(target) ? target[part] : undefined;
      expect(target, reference).toBeDefined();
    }
  });

  test('ranges and defaults of the params are shown', () => {
    const params = messages.find(({ name }) => name === 'create_job')?.payload.properties?.['params'];
    expect(params).toMatchObject({ additionalProperties: false, required: ['prompt'], properties: { steps: { minimum: 1, maximum: 50, default: 9 } } });
  });

  test.for(messages)('$name is described', ({ summary }) => expect(summary).toMatch(/^[A-Z].{15,}\.$/));

  test.for(messages.filter(({ from }) => from === 'server'))('the example of $name is what the server may send', ({ example }) => {
    expect(serverMessageSchema.parse(example)).toEqual(example);
  });

  test.for(messages.filter(({ from }) => from === 'client'))('the example of $name is taken by the server', async ({ example }) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/api/ws?client_id=docs`);
    await once(socket, 'open');
    socket.send(JSON.stringify(example));
    const [data] = await once(socket, 'message');
    const answer = serverMessageSchema.parse(JSON.parse(data.toString()));
    // its job does not exist here; anything else that is wrong with it would be another code
    if (answer.type === 'error') expect(answer.code).toBe('unknown_job');
    socket.close();
  });
});

describe('OpenAPI', () => {
  test('every call under /api is there, with what it takes and answers', async () => {
    const document = (await ask(server.port, '/docs/openapi.json')).json();
    expect(document['openapi']).toBe('3.1.0');
    const paths = document['paths'];
    if (!isRecord(paths)) throw new Error('no paths');
    const isApi = (path: string): boolean => path.startsWith('/api/');
    // the calls of other programs' APIs are there too
    expect(Object.keys(paths).filter((path) => !isApi(path))).toContain('/v1/images/generations');
    expect(Object.keys(paths).filter(isApi).toSorted()).toEqual([
      '/api/bin',
      '/api/bin/image/{filename}',
      '/api/bin/{id}',
      '/api/clients',
      '/api/controlnets',
      '/api/cuda-pack',
      '/api/cuda-pack/{action}',
      '/api/devices',
      '/api/devices/probe',
      '/api/health',
      '/api/image/{filename}',
      '/api/images/{filename}/receipt',
      '/api/info',
      '/api/jobs',
      '/api/jobs/bulk',
      '/api/jobs/labels',
      '/api/jobs/sizes',
      '/api/jobs/zip',
      '/api/jobs/{id}',
      '/api/jobs/{id}/restore',
      '/api/log',
      '/api/loras',
      '/api/models',
      '/api/models/limits',
      '/api/models/{name}/{action}',
      '/api/network',
      '/api/queue',
      '/api/settings',
      '/api/tokens',
      '/api/uploads',
      '/api/uploads/{id}/image',
      '/api/verify',
    ]);
    const text = JSON.stringify(paths);
    expect(text).toContain('"enum":["uint4","int8","klein"]');
    expect(text).toContain('"minimum":1,"maximum":500');
    expect(text).not.toContain('"token"');
  });
});

describe('the examples of HTTP', () => {
  interface Operation {
    parameters?: { name: string; in: string; example?: unknown }[];
    requestBody?: { content: Record<string, { example?: unknown }> };
    responses: Record<string, { content?: Record<string, { schema: z.core.JSONSchema.BaseSchema; example?: object }> }>;
  }
  const operations = async () => {
    const { paths } = openApiSchema.parse((await ask(server.port, '/docs/openapi.json')).json());
    return Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  };
  const openApiSchema = z.object({ paths: z.record(z.string(), z.record(z.string(), z.custom<Operation>(isRecord))) });

  test('each call, with the params, the query and the body of its example, is answered as the example says', async () => {
    // the doors' own tests send what their clients send
    const all = (await operations()).filter(({ path }) => path.startsWith('/api/'));
    expect(all.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual(Object.keys(httpGuide).toSorted());
    server.jobs.add(exampleJobId);
    const added = server.jobs.get(exampleJobId);
    if (added !== null) server.jobs.records.set(exampleJobId, { ...added, result: exampleResult });
    const upload = await ask(server.port, '/api/uploads', { method: 'PUT', headers: { 'content-type': 'image/png' }, body: png });
    for (const { path, method, operation } of all) {
      let address = path === '/api/uploads/{id}/image' ? path.replace('{id}', String(upload.json()['id'])) : path;
      const query = new URLSearchParams();
      for (const { name, in: where, example } of operation.parameters ?? []) {
        if (where === 'path') address = address.replace(`{${name}}`, encodeURIComponent(String(example)));
        else if (example !== undefined) query.set(name, String(example));
      }
      const types = Object.keys(operation.requestBody?.content ?? {});
      const example = operation.requestBody?.content['application/json']?.example;
      const body =
        path === '/api/uploads' || path === '/api/verify'
          ? { headers: { 'content-type': 'image/png' }, body: png }
          : example === undefined
            ? {}
            : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(example) };
      expect(types.length === 0 || 'body' in body, `${method} ${path} has no example of its body`).toBe(true);
      if (path === '/api/bin/{id}') await server.jobs.remove(exampleJobId);
      const met = await ask(server.port, `${address}?${query}`, { method: method.toUpperCase(), ...body });
      expect([method, path, met.status]).toEqual([method, path, 200]);
      const answer = operation.responses['200']?.content?.['application/json'];
      if (answer?.example === undefined) continue;
      z.fromJSONSchema(answer.schema).parse(answer.example);
      expect([method, path, Object.keys(met.json()).toSorted()]).toEqual([method, path, Object.keys(answer.example).toSorted()]);
    }
  });
});

describe('the pages', () => {
  test.for(['/docs', '/docs/websocket'])('%s loads only what this server serves, with nothing inline', async (path) => {
    const page = await ask(server.port, path);
    const html = page.body.toString();
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(String(page.headers['content-security-policy'])).not.toContain('unsafe');
    expect(html).not.toMatch(/<style|style=|<script>|\son\w+=/);
    const loaded = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map((match) => match[1] ?? '').filter((address) => !address.startsWith('data:'));
    expect(loaded.length).toBeGreaterThan(0);
    for (const address of loaded) {
      expect(address).toMatch(/^\//);
      expect((await ask(server.port, address)).status, address).toBe(200);
    }
  });

  test('the page of messages shows each field with its range and its default', async () => {
    const html = (await ask(server.port, '/docs/websocket')).body.toString();
    for (const { name } of documentMessages()) expect(html).toContain(`<section id="${name}">`);
    expect(html).toContain('<tr><td><code>params.width</code></td><td>a whole number from 256 to 2048 that divides by 16</td><td>default 1024</td></tr>');
    expect(html).toContain('<code>jobs[].result.filename</code>');
  });
});
