import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError, appError, errorTable } from '#shared/protocol/errors.ts';
import { discardRest } from './body-limits.ts';
import { httpErrorBody } from './error-reply.ts';

/** Answers what Node's parser could not read, after the answers to earlier requests of the same connection, and closes it. */
export class BrokenRequests {
  readonly #last = new WeakMap<Socket, { request: IncomingMessage; response: ServerResponse }>();

  /** Must be called before the server listens. */
  watch(server: Server): void {
    server.on('request', (request, response) => this.#last.set(request.socket, { request, response }));
    // Node would close the connection without an answer
    server.on('connect', ({ socket }) => end(socket, new AppError('bad_message', 'CONNECT asks for a proxy; this server is not one.', {})));
  }

  /** Answers 408 and hands nothing of the request to its handler any more. */
  giveUp(request: IncomingMessage): void {
    request.removeAllListeners('data').removeAllListeners('end');
    this.answer(Object.assign(new Error('the body is too slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), request.socket);
    discardRest(request);
  }

  readonly answer = (thrown: NodeJS.ErrnoException, socket: Socket): void => {
    // more bytes behind a request that said it was the last: its answer closes the connection
    if (thrown.code === 'HPE_CLOSED_CONNECTION') return;
    const last = this.#last.get(socket);
    const isAnswered = last?.response.writableFinished === true;
    // the rest of a request that was answered early; a second answer would be taken for that of the next one
    if (isAnswered && !last.request.complete) socket.destroy();
    // without its body it is the broken one itself, and its handler will never answer
    else if (last === undefined || !last.request.complete || isAnswered) answerNow(thrown, socket);
    else last.response.once('finish', () => answerNow(thrown, socket));
  };
}

function answerNow(thrown: NodeJS.ErrnoException, socket: Socket): void {
  if (thrown.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  end(socket, brokenRequestError(thrown.code));
}

function end(socket: Socket, error: AppError): void {
  const body = JSON.stringify(httpErrorBody(error));
  const { status } = errorTable[error.code];
  socket.end(
    `HTTP/1.1 ${status} ${error.code}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function brokenRequestError(code: string | undefined): AppError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return appError('request_timeout', {});
  if (code === 'HPE_HEADER_OVERFLOW') return appError('headers_too_large', {});
  return new AppError('bad_message', 'This is not an HTTP request that can be read.', {});
}
