import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { AppError } from '#shared/protocol/errors.ts';

/** JSON bodies: UTF-8 only, where Node would put U+FFFD in place of other bytes, and without a key that could poison an object. */
export function registerJsonBody(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (isUtf8(body)) void parse(request, body.toString('utf8'), done);
    else done(new AppError('bad_message', 'The body is not UTF-8.', {}));
  });
}
