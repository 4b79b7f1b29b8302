import { existsSync } from 'node:fs';
import type { App } from '../fastify-app.ts';
import { noWindowPage } from '../plain-pages.ts';
import { readStaticFiles, registerStaticFiles } from '../static-files.ts';

const PAGE = 'index.html';
const NONCE_PLACE = '__CSP_NONCE__';

/** `GET /`: the window's page and its files, as they were in `rendererDir` at the start. */
export function registerWindow(app: App, rendererDir: string): void {
  const files = existsSync(rendererDir) ? readStaticFiles(rendererDir) : new Map();
  const html = files.get(PAGE)?.bytes.toString('utf8');
  app.get('/', { schema: { hide: true } }, (_request, reply) => {
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache');
    // libraries that insert a style at run time carry this nonce, so the policy needs no 'unsafe-inline'
    return reply.send(html === undefined ? noWindowPage() : html.replaceAll(NONCE_PLACE, reply.cspNonce.style));
  });
  files.delete(PAGE);
  // the build names assets after their content
  const cacheControl = (address: string) => (address.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache');
  registerStaticFiles(
    app,
    [...files].map(([name, content]) => [`/${name}`, content]),
    cacheControl,
  );
}
