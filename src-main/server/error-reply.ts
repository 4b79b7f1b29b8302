import type { FastifyReply, FastifyRequest } from 'fastify';
import { isRecord } from '#main/lib/is-record.ts';
import { AppError, type ErrorCode } from '#shared/protocol/errors.ts';
import type { HttpError } from '#shared/protocol/http.ts';
import { signInPage } from './plain-pages.ts';

/** HTTP status by code; what is not listed is the server's own fault, 500. */
const statusByCode: Partial<Record<ErrorCode, number>> = {
  bad_json: 400,
  bad_message: 400,
  missing_param: 400,
  unknown_param: 400,
  bad_param: 400,
  bad_client_id: 400,
  client_id_required: 400,
  picture_damaged: 422,
  access_key_required: 401,
  forbidden_host: 403,
  forbidden_origin: 403,
  forbidden_site: 403,
  not_found: 404,
  unknown_job: 404,
  unknown_image: 404,
  unknown_model: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  job_not_ended: 409,
  job_of_others: 409,
  not_cancellable: 409,
  model_busy: 409,
  model_not_installed: 409,
  licence_not_accepted: 409,
  cuda_pack_busy: 409,
  cuda_pack_unsupported: 409,
  body_too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  upgrade_required: 426,
  rate_limited: 429,
  too_many_connections: 429,
  headers_too_large: 431,
  cuda_pack_damaged: 422,
  checkpoint_missing: 422,
  checkpoint_damaged: 422,
  checkpoint_unsupported: 422,
  repository_unavailable: 502,
  download_refused: 502,
  download_failed: 502,
  queue_full: 503,
  shutting_down: 503,
  disk_full: 507,
  folder_not_writable: 507,
  disk_failed: 507,
};

export function httpStatus(code: ErrorCode): number {
  return statusByCode[code] ?? 500;
}

/** The body of an HTTP error: the same code and sentence as in a WebSocket `error`, with the code's data beside them. */
export function httpErrorBody(error: AppError): HttpError {
  return { ...error.data, code: error.code, message: error.message };
}

/** Answers with the error; ours as they are, the framework's translated, anything else logged and told as `internal` without its text. */
export function replyWithError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = toAppError(thrown, request);
  if (error.code === 'internal') request.log.error({ err: thrown }, 'request failed');
  if ('retryAfterMs' in error.data) reply.header('retry-after', Math.ceil(Number(error.data.retryAfterMs) / 1000));
  if ('allowed' in error.data) reply.header('allow', error.data.allowed.join(', '));
  // RFC 9110, section 15.5.22, and RFC 6455, section 4.2.2
  if (error.code === 'upgrade_required') reply.headers({ upgrade: 'websocket', connection: 'upgrade, close', 'sec-websocket-version': '13' });
  if (error.code === 'access_key_required') {
    reply.header('www-authenticate', 'Bearer');
    const isPage = request.url.split('?')[0] === '/' && request.headers.accept?.includes('text/html') === true;
    if (isPage) return reply.code(401).type('text/html; charset=utf-8').header('cache-control', 'no-store').send(signInPage());
  }
  return reply.code(httpStatus(error.code)).type('application/json; charset=utf-8').header('cache-control', 'no-store').send(httpErrorBody(error));
}

/** `thrown` as one of ours. Fastify and its plugins mark what is the caller's fault by a `statusCode` below 500. */
function toAppError(thrown: unknown, request: FastifyRequest): AppError {
  if (thrown instanceof AppError) return thrown;
  const { statusCode, code } = isRecord(thrown) ? thrown : {};
  const status = typeof statusCode === 'number' ? statusCode : 500;
  const cause = { cause: thrown };
  if (code === 'FST_ERR_CTP_INVALID_JSON_BODY' || code === 'FST_ERR_CTP_EMPTY_JSON_BODY') {
    return new AppError('bad_json', 'The body is not the JSON that its content type announces.', {}, cause);
  }
  switch (status) {
    case 413: {
      const limit = request.routeOptions.bodyLimit ?? 0;
      return new AppError('body_too_large', `The body is larger than the ${limit} bytes allowed here.`, { limit }, cause);
    }
    case 415:
      return new AppError('unsupported_media_type', `The content type ${JSON.stringify(request.headers['content-type'] ?? '')} is not taken here.`, {}, cause);
    case 416:
      return new AppError('range_not_satisfiable', 'The range lies outside of the file.', {}, cause);
  }
  if (status >= 400 && status < 500)
    return new AppError('bad_message', 'The request is not well formed: its address, a header or its body cannot be read.', {}, cause);
  return new AppError('internal', 'The server failed at this request; its log says why.', {}, cause);
}
