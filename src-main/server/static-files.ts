import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { Readable } from 'node:stream';
import type { App } from './fastify-app.ts';
import { type Content, sendContent } from './send-content.ts';

const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};

/** The files of `dir` by their path below it, `/` between folders. They are read once, so all of them are of one build, even if another replaces them. */
export function readStaticFiles(dir: string): Map<string, Content & { bytes: Buffer }> {
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name));
  const files = paths.filter((path) => statSync(path).isFile());
  return new Map(files.map((path) => [relative(dir, path).replaceAll(sep, '/'), readStaticFile(path)]));
}

export function readStaticFile(path: string): Content & { bytes: Buffer } {
  const bytes = readFileSync(path);
  const type = contentTypes[extname(path)] ?? 'application/octet-stream';
  const read: Content['read'] = ({ start, end }) => Readable.from([bytes.subarray(start, end + 1)]);
  return { bytes, type, sizeBytes: bytes.length, modifiedMs: statSync(path).mtimeMs, read };
}

/** A route for each file, so that any other address is refused like every unknown one. */
export function registerStaticFiles(app: App, files: Iterable<[address: string, content: Content]>, cacheControl: (address: string) => string): void {
  for (const [address, content] of files) {
    app.get(encodeURI(address), { schema: { hide: true } }, (request, reply) => {
      reply.header('cache-control', cacheControl(address));
      return sendContent(request, reply, content);
    });
  }
}
