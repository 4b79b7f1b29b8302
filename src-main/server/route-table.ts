import type { FastifyInstance } from 'fastify';
import { AppError } from '#shared/protocol/errors.ts';

export interface RouteTable {
  /** The error for a request that no route takes: `method_not_allowed` where the path is served by another method, else `not_found`. */
  notFound(method: string, path: string): AppError<'not_found'> | AppError<'method_not_allowed'>;
}

/** Remembers which methods each path takes. Must see the routes, so it is registered before them. */
export function registerRouteTable(app: FastifyInstance): RouteTable {
  const routes: { pattern: RegExp; methods: string[] }[] = [];

  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    const pattern = new RegExp(`^${url.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll(/:\w+/g, '[^/]+')}$`);
    routes.push({ pattern, methods: [method].flat() });
  });

  return {
    notFound(method, path) {
      const allowed = [...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))];
      if (allowed.length > 0)
        return new AppError('method_not_allowed', `${method} is not served at this address; allowed are ${allowed.join(', ')}.`, { allowed });
      return new AppError('not_found', 'Nothing is served at this address; /docs lists what is.', {});
    },
  };
}
