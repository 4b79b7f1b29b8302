import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError, appError } from '#shared/protocol/errors.ts';
import { discardRest } from './body-limits.ts';
import { errorAnswer } from './error-reply.ts';

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
    else if (last === undefined || !last.request.complete || isAnswered)
      answerNow(thrown, socket, last?.request.complete === false ? last.request.url : undefined);
    else last.response.once('finish', () => answerNow(thrown, socket));
  };
}

/** @param url Of the request, where it was read. */
function answerNow(thrown: NodeJS.ErrnoException, socket: Socket, url = ''): void {
  if (thrown.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  end(socket, brokenRequestError(thrown.code), url);
}

function end(socket: Socket, error: AppError, url = ''): void {
  const answer = errorAnswer(error, url.split('?')[0] ?? '');
  const body = JSON.stringify(answer.body);
  const headers = Object.entries(answer.headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  socket.end(
    `HTTP/1.1 ${answer.status} ${error.code}\r\n${headers}Content-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function brokenRequestError(code: string | undefined): AppError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return appError('request_timeout', {});
  if (code === 'HPE_HEADER_OVERFLOW') return appError('headers_too_large', {});
  return new AppError('bad_message', 'This is not an HTTP request that can be read.', {});
}
