import type { Socket } from 'node:net';
import { AppError } from '#shared/protocol/errors.ts';
import { httpErrorBody, httpStatus } from './error-reply.ts';

/** Answers what Node's parser could not read as a request, and closes the connection. */
export function answerBrokenRequest(thrown: NodeJS.ErrnoException, socket: Socket): void {
  if (thrown.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = brokenRequestError(thrown.code);
  const body = JSON.stringify(httpErrorBody(error));
  const status = httpStatus(error.code);
  socket.end(
    `HTTP/1.1 ${status} ${error.code}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function brokenRequestError(code: string | undefined): AppError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new AppError('request_timeout', 'The request did not arrive in time.', {});
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('headers_too_large', 'The headers are larger than this server reads.', {});
  return new AppError('bad_message', 'This is not an HTTP request that can be read.', {});
}
