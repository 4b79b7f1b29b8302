import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fastifySwagger from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { OpenAPIV3, OpenAPIV3_1 } from 'openapi-types';
import { isRecord } from '#main/lib/is-record.ts';
import { programDir } from '#main/lib/program-files.ts';
import type { App } from '../fastify-app.ts';
import { page } from '../plain-pages.ts';
import type { Content } from '../send-content.ts';
import { readStaticFile, registerStaticFiles } from '../static-files.ts';
import { createAsyncApi } from './asyncapi.ts';
import { createErrorsPage } from './errors-page.ts';
import { type HttpExample, httpGuide } from './http-guide.ts';
import { websocketPage, websocketPageStyle } from './websocket-page.ts';

/** Collects the routes for the OpenAPI document. Must be registered before them. */
export async function registerOpenApi(app: App, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Z-Image-Turbo Studio',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        description: 'Jobs are made over the WebSocket (/docs/websocket); this is what stands beside it. From another machine each call needs the access key.',
      },
      security: [{ key: [] }, {}],
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'The access key; from this machine none is needed.' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => {
      if (!('openapiObject' in document)) throw new Error('This is no OpenAPI document');
      addExamples(document.openapiObject);
      return document.openapiObject;
    },
  });
}

function addExamples(document: Partial<OpenAPIV3.Document | OpenAPIV3_1.Document>): void {
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(operations ?? {})) {
      const example = httpGuide[`${method} ${path}`];
      if (example !== undefined && isRecord(operation)) addExample(operation, example);
    }
  }
}

function addExample({ parameters, requestBody, responses }: Record<string, unknown>, { params, query, body, answer }: HttpExample): void {
  for (const parameter of Array.isArray(parameters) ? parameters : []) {
    const value = isRecord(parameter) ? { ...params, ...query }[String(parameter['name'])] : undefined;
    if (value !== undefined) parameter.example = value;
  }
  const json = (holder: unknown): unknown => (isRecord(holder) && isRecord(holder['content']) ? holder['content']['application/json'] : undefined);
  const [asked, answered] = [json(requestBody), isRecord(responses) ? json(responses['200']) : undefined];
  if (body !== undefined && isRecord(asked)) asked['example'] = body;
  if (answer !== undefined && isRecord(answered)) answered['example'] = answer;
}

/** `/docs` for HTTP and `/docs/websocket` for the messages, both from files of our own, under the strict content policy of every page. */
export function registerDocs(app: App, version: string): void {
  const hidden = { schema: { hide: true } };
  const root = swaggerUiDir();
  const files = swaggerUiFiles.map((name): [string, Content] => [`/docs/swagger-ui/${name}`, readStaticFile(join(root, name))]);
  registerStaticFiles(app, files, () => 'no-cache');
  app.get('/docs', hidden, (_request, reply) => reply.type('text/html; charset=utf-8').send(swaggerPage));
  app.get('/docs/swagger-start.js', hidden, (_request, reply) => reply.type('text/javascript; charset=utf-8').send(swaggerStart));
  app.get('/docs/openapi.json', hidden, () => app.swagger());
  app.get('/docs/asyncapi.json', hidden, () => createAsyncApi(version));
  app.get('/docs/websocket', hidden, (_request, reply) => reply.type('text/html; charset=utf-8').send(websocketPage()));
  app.get('/docs/errors.md', hidden, (_request, reply) => reply.type('text/markdown; charset=utf-8').send(createErrorsPage()));
  app.get('/docs/websocket.css', hidden, (_request, reply) => reply.type('text/css; charset=utf-8').send(websocketPageStyle));
}

const swaggerUiFiles = ['swagger-ui.css', 'swagger-ui-bundle.js'];

const swaggerPage = page(
  'HTTP calls',
  '<p><a href="/docs/websocket">WebSocket messages</a></p>\n<div id="swagger"></div>\n<script src="/docs/swagger-ui/swagger-ui-bundle.js"></script>\n<script src="/docs/swagger-start.js"></script>',
  '<link rel="stylesheet" href="/docs/swagger-ui/swagger-ui.css">',
);

const swaggerStart = "SwaggerUIBundle({ url: '/docs/openapi.json', dom_id: '#swagger', validatorUrl: null, deepLinking: true });\n";

/** Where the build copied Swagger UI's two files to, else the package that they come from. */
function swaggerUiDir(): string {
  const built = join(programDir, 'out', 'swagger-ui');
  if (existsSync(built)) return built;
  return join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json')), 'static');
}
