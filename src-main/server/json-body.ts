import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { AppError } from '#shared/protocol/errors.ts';
import { rememberSource } from './json-source.ts';

/**
 * JSON bodies: UTF-8 only, where Node would insert U+FFFD, and without keys such as `__proto__`. Many clients announce JSON without sending a body; where
 * a route takes no body that is not an error.
 */
export function registerJsonBody(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (!isUtf8(body)) return done(new AppError('bad_message', 'The body is not UTF-8.', {}));
    if (body.length === 0 && request.routeOptions.schema?.body === undefined) return done(null, undefined);
    const text = body.toString('utf8');
    void parse(request, text, (error, value?: unknown) => {
      if (error === null) rememberSource(value, text);
      done(error, value);
    });
  });
  app.addHook('preParsing', async (request, reply) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
    if (encoding === 'identity' || encoding === '') return;
    // RFC 9110, section 15.5.16: names the encodings that the client may use
    reply.header('accept-encoding', 'identity');
    throw new AppError('unsupported_media_type', `The content encoding ${JSON.stringify(encoding)} is not supported; send the body without compression.`, {});
  });
}
