import type { FastifyReply, FastifyRequest } from 'fastify';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError, appError, errorTable } from '#shared/protocol/errors.ts';
import type { HttpError } from '#shared/protocol/http.ts';
import { pagePaths } from './access/access-rules.ts';
import { type DoorError, doorError } from './doors/error-body.ts';
import { acceptsHtml, signInPage } from './plain-pages.ts';

/** The body of an HTTP error: code and message as in a WebSocket `error`, and the code's data. */
function httpErrorBody(error: AppError): HttpError {
  return { ...error.data, code: error.code, message: error.message };
}

/** Answers with the error. What is neither ours nor the framework's is logged and sent as `internal`, without its text. */
export function replyWithError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = toAppError(thrown, request);
  if (error.code === 'internal') request.log.error({ err: thrown }, 'request failed');
  if ('retryAfterMs' in error.data) reply.header('retry-after', Math.ceil(Number(error.data.retryAfterMs) / 1000));
  if ('allowed' in error.data) reply.header('allow', error.data.allowed.join(', '));
  // RFC 9110, section 15.5.22, and RFC 6455, section 4.2.2
  if (error.code === 'upgrade_required') reply.headers({ upgrade: 'websocket', connection: 'upgrade, close', 'sec-websocket-version': '13' });
  const path = request.url.split('?')[0] ?? '';
  if (error.code === 'access_key_required') {
    reply.header('www-authenticate', 'Bearer');
    const isPage = pagePaths.includes(path) && acceptsHtml(request);
    if (isPage) return reply.code(401).type('text/html; charset=utf-8').header('cache-control', 'no-store').send(signInPage(request.url));
  }
  if (!request.raw.complete && !request.ws) {
    // closing now would take the answer away from a client that still sends; `discardRest` closes
    reply.removeHeader('connection');
    reply.raw.shouldKeepAlive = true;
  }
  const { status, headers, body } = errorAnswer(error, path);
  return reply.code(status).headers(headers).type('application/json; charset=utf-8').header('cache-control', 'no-store').send(body);
}

/** The error as the clients of this path read it. */
export function errorAnswer(error: AppError, path: string): DoorError {
  const body = httpErrorBody(error);
  return doorError(error, path, body) ?? { status: errorTable[error.code].status, headers: {}, body };
}

/** Fastify and its plugins mark a client's error by a `statusCode` below 500. */
export function toAppError(thrown: unknown, request: FastifyRequest): AppError {
  if (thrown instanceof AppError) return thrown;
  const { statusCode, code } = isRecord(thrown) ? thrown : {};
  const status = typeof statusCode === 'number' ? statusCode : 500;
  const cause = { cause: thrown };
  if (code === 'FST_ERR_CTP_INVALID_JSON_BODY' || code === 'FST_ERR_CTP_EMPTY_JSON_BODY') return new AppError('bad_json', 'The body is not JSON.', {}, cause);
  switch (status) {
    case 412:
      return appError('precondition_failed', {}, cause);
    case 413:
      return appError('body_too_large', { limit: request.routeOptions.bodyLimit ?? 0 }, cause);
    case 415:
      return new AppError('unsupported_media_type', `The content type ${quoteValue(request.headers['content-type'])} is not supported here.`, {}, cause);
    case 416:
      return appError('range_not_satisfiable', {}, cause);
  }
  if (status >= 400 && status < 500)
    return new AppError('bad_message', 'The request is not well formed: its address, a header or its body cannot be read.', {}, cause);
  return appError('internal', {}, cause);
}
