import type { FastifyInstance } from 'fastify';
import { type AppError, appError } from '#shared/protocol/errors.ts';

export interface RouteTable {
  /** The error for a request without a route: `method_not_allowed` if the path takes other methods, else `not_found`. */
  notFound(path: string): AppError<'not_found'> | AppError<'method_not_allowed'>;
  /** The address of a route that `path` only misses by slashes at its end, or null. */
  withoutSlash(path: string): string | null;
}

/** Remembers which methods each path takes. Must be registered before the routes. */
export function registerRouteTable(app: FastifyInstance): RouteTable {
  const routes: { pattern: RegExp; methods: string[] }[] = [];

  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    const pattern = new RegExp(`^${url.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll(/:\w+/g, '[^/]+')}$`);
    routes.push({ pattern, methods: [method].flat() });
  });

  const methodsOf = (path: string): string[] => [...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))];

  return {
    notFound(path) {
      const allowed = methodsOf(path);
      return allowed.length > 0 ? appError('method_not_allowed', { allowed }) : appError('not_found', {});
    },
    withoutSlash(path) {
      const plain = path.replace(/\/+$/, '');
      return plain !== path && methodsOf(plain).length > 0 ? plain : null;
    },
  };
}
