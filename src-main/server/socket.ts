import type { IncomingMessage, ServerResponse } from 'node:http';
import fastifyWebsocket from '@fastify/websocket';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import type { CudaPack } from '#main/cuda-pack/cuda-pack.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { AppError, appError, type ErrorCode } from '#shared/protocol/errors.ts';
import type { ErrorMessage, RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import { type Access, limitedAddress } from './access/access-hook.ts';
import { createRateLimit } from './access/rate-limit.ts';
import { maxOpenFiles, RESERVED_FILES } from './max-open-files.ts';
import { serialize } from './messages/exact-request-id.ts';
import { type Connection, handleMessage } from './messages/handlers.ts';
import { type Frame, parseFrame } from './messages/parse-frame.ts';

const SOCKET_PATH = '/api/ws';
export const MAX_FRAME_BYTES = 64 * 1024;
const MAX_FRAGMENTS = 64;
/** Unanswered frames; beyond this the socket is not read until half of them are answered. */
const MAX_WAITING_FRAMES = 128;
const MESSAGES_PER_SECOND = 50;
const MESSAGES_AT_ONCE = 500;

export interface SocketLimits {
  /** Open sockets altogether, and from one other machine. */
  sockets: number;
  socketsPerAddress: number;
  /** Bytes that may wait for a reader before it is dropped; previews are skipped from a sixteenth of that on. */
  bufferedBytes: number;
  /** A peer that has not answered a ping by the next one is dropped. */
  pingMs: number;
  /** Time for a peer to answer a close, at shutdown or when it is dropped. */
  closeMs: number;
}

export const defaultSocketLimits: SocketLimits = {
  sockets: Math.min(12_000, maxOpenFiles() - RESERVED_FILES),
  socketsPerAddress: 100,
  bufferedBytes: 4 * 1024 * 1024,
  pingMs: 30_000,
  closeMs: 1_000,
};

/** Close codes: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

/** What is kept of an open socket: nothing that holds the request that it came with, since there may be ten thousand of them. */
interface Session {
  socket: WebSocket;
  log: FastifyBaseLogger;
  /** Null for this machine, which has no limits of its own. */
  address: string | null;
  mayStay: () => boolean;
  /** False from a ping until its pong. */
  isAlive: boolean;
}

/** Registers the WebSocket machinery; its routes come by `registerSocketRoute`, after the access hook. */
export async function registerSocketServer(app: FastifyInstance, limits: SocketLimits): Promise<void> {
  await app.register(fastifyWebsocket, {
    options: { maxPayload: MAX_FRAME_BYTES, maxFragments: MAX_FRAGMENTS, perMessageDeflate: false },
    errorHandler: (error, socket, request) => endFailed(error, socket, request.log),
    preClose: async () => {
      const { clients } = app.websocketServer;
      for (const socket of clients) socket.close(GOING_AWAY, 'the server is shutting down');
      const deadline = setTimeout(() => {
        for (const socket of clients) socket.terminate();
      }, limits.closeMs);
      await Promise.all([...clients].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
      clearTimeout(deadline);
    },
  });
}

/** Whether Node hands over the connection. Other upgrades that a client offers are ignored, and the request is answered as plain HTTP. */
export function isWebSocketUpgrade({ method, url, headers }: IncomingMessage): boolean {
  return method === 'GET' && url?.split('?')[0]?.replace(/\/$/, '') === SOCKET_PATH && headers.upgrade?.toLowerCase() === 'websocket';
}

export interface SocketParts {
  jobs: Jobs;
  library: ModelLibrary;
  cudaPack: CudaPack;
  access: Access;
  limits: SocketLimits;
}

/** `GET /api/ws`: one session a socket, each frame answered, none of them closing it. */
export function registerSocketRoute(app: FastifyInstance, parts: SocketParts): void {
  const { access, limits } = parts;
  const sessions = new Set<Session>();
  const responses = new WeakMap<FastifyRequest, ServerResponse>();
  const rate = createRateLimit(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE);

  for (const url of [SOCKET_PATH, `${SOCKET_PATH}/`])
    app.route({
      method: 'GET',
      url,
      schema: { hide: true },
      preValidation: async (request, reply) => {
        if (!request.ws) return;
        assertHandshake(request);
        readClientId(request);
        readSince(request);
        assertRoom(sessions, request, limits);
        responses.set(request, reply.raw);
      },
      handler: () => {
        throw new AppError('upgrade_required', 'This address takes WebSocket connections; /docs/websocket describes the messages.', {});
      },
      wsHandler: (socket, request) => {
        const session: Session = { socket, log: app.log, address: limitedAddress(request), mayStay: access.stayCheck(request), isAlive: true };
        letGoOfRequest(session, request, responses.get(request));
        sessions.add(session);
        socket.on('pong', () => {
          session.isAlive = true;
        });
        socket.on('close', () => sessions.delete(session));
        serve(session, { clientId: readClientId(request), since: readSince(request) }, parts, rate.take);
      },
    });

  const heartbeat = setInterval(() => {
    for (const session of sessions) beat(session);
  }, limits.pingMs);
  heartbeat.unref();
  app.addHook('onClose', async () => clearInterval(heartbeat));
}

/** What the framework hangs on a socket keeps request, reply and response alive, 5 kB and more, for as long as the socket lives. */
function letGoOfRequest({ socket, log }: Session, request: FastifyRequest, response: ServerResponse | undefined): void {
  socket.removeAllListeners('error');
  socket.on('error', (error) => endFailed(error, socket, log));
  response?.detachSocket(request.raw.socket);
}

function endFailed(error: Error, socket: WebSocket, log: FastifyBaseLogger): void {
  // ws has begun to close with the right code where the peer broke a rule of frames
  const isTooLarge = 'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
  log.info({ err: error, ...(isTooLarge ? { code: 'frame_too_large' satisfies ErrorCode, limit: MAX_FRAME_BYTES } : {}) }, 'a socket failed');
  if (socket.readyState === socket.OPEN) socket.terminate();
}

function serve(
  session: Session,
  { clientId, since }: { clientId: string | null; since: number | undefined },
  { jobs, library, cudaPack, limits }: SocketParts,
  takeRate: (address: string) => number,
): void {
  const { socket, address, log } = session;
  const send = (message: ServerMessage): void => {
    if (socket.readyState !== socket.OPEN) return;
    const isDroppable = ['job_preview', 'model_progress', 'cuda_pack_progress'].includes(message.type);
    if (isDroppable && socket.bufferedAmount > limits.bufferedBytes / 16) return;
    if (socket.bufferedAmount > limits.bufferedBytes) cut(session, limits);
    else socket.send(serialize(message));
  };
  const ofJobs = jobs.connect({ clientId, from: address === null ? 'this_machine' : 'network' }, send);
  const connection: Connection = { jobs: ofJobs, watchModels: watchInstallations(library, cudaPack, send) };
  socket.on('close', () => {
    ofJobs.close();
    connection.watchModels(false);
  });

  const refuse = (frame: Frame) => (reason: unknown) => send(errorMessage(reason, frame.requestId, log));
  const take = async (frame: Frame): Promise<void> => {
    if ('error' in frame) refuse(frame)(frame.error);
    else await handleMessage(connection, frame.message, refuse(frame));
  };
  const waiting: Frame[] = [];
  /** Jobs that were asked for and not answered yet. */
  const creating = new Set<Promise<void>>();
  let isBusy = false;
  // a client that sends two messages is answered in that order; jobs asked for in a row are taken together, since those that wait for the disk can share it
  const drain = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    for (let frame = waiting.shift(); frame !== undefined; frame = waiting.shift()) {
      const retryAfterMs = address === null ? 0 : takeRate(address);
      if (retryAfterMs === 0 && 'message' in frame && frame.message.type === 'create_job') {
        const created = take(frame).finally(() => {
          creating.delete(created);
          readOn();
        });
        creating.add(created);
        continue;
      }
      await Promise.all(creating);
      if (retryAfterMs > 0) refuse(frame)(appError('rate_limited', { retryAfterMs }));
      else await take(frame);
      readOn();
    }
    isBusy = false;
  };
  const readOn = (): void => {
    if (socket.isPaused && waiting.length + creating.size <= MAX_WAITING_FRAMES / 2) socket.resume();
  };
  socket.on('message', (data: Buffer, isBinary) => {
    waiting.push(parseFrame(data, isBinary));
    if (waiting.length + creating.size > MAX_WAITING_FRAMES) socket.pause();
    void drain();
  });

  if (since !== undefined) ofJobs.watch({ since });
}

/** Begins or ends the messages about what is installed on one socket; twice the same changes nothing. */
function watchInstallations(library: ModelLibrary, cudaPack: CudaPack, send: (message: ServerMessage) => void): (isWatching: boolean) => void {
  let unwatch: (() => void) | null = null;
  const watch = (): (() => void) => {
    const ofModels = library.watch((model) => send({ type: 'model_progress', model }));
    const ofPack = cudaPack.watch((pack) => send({ type: 'cuda_pack_progress', pack }));
    return () => {
      ofModels();
      ofPack();
    };
  };
  return (isWatching) => {
    if (!isWatching) {
      unwatch?.();
      unwatch = null;
    } else unwatch ??= watch();
  };
}

/** A reader that still comes to the end of what waits for it reads why; one that does not is gone soon, and its memory with it. */
function cut({ socket, log }: Session, { closeMs }: SocketLimits): void {
  log.warn({ code: 'slow_reader' satisfies ErrorCode, buffered: socket.bufferedAmount }, 'a slow reader is dropped');
  socket.close(POLICY_VIOLATION, 'slow_reader: too much was left unread');
  const deadline = setTimeout(() => socket.terminate(), closeMs);
  socket.once('close', () => clearTimeout(deadline));
}

function errorMessage(thrown: unknown, requestId: RequestId, log: FastifyBaseLogger): ErrorMessage {
  if (!(thrown instanceof AppError)) log.error({ err: thrown }, 'message failed');
  const error = thrown instanceof AppError ? thrown : appError('internal', {}, { cause: thrown });
  return {
    type: 'error',
    message: error.message,
    ...(requestId === undefined ? {} : { request_id: requestId }),
    code: error.code,
    ...('field' in error.data ? { field: error.data.field } : {}),
    ...('retryAfterMs' in error.data ? { retry_after_ms: error.data.retryAfterMs } : {}),
  };
}

function beat(session: Session): void {
  const { socket, isAlive, mayStay } = session;
  if (!isAlive) {
    socket.terminate();
  } else if (!mayStay()) {
    socket.close(POLICY_VIOLATION, 'the access key was changed');
  } else {
    session.isAlive = false;
    socket.ping();
  }
}

/** Throws `upgrade_required`, `bad_message`. Source: RFC 6455, section 4.2.1. */
function assertHandshake({ headers }: FastifyRequest): void {
  const { 'sec-websocket-version': version, 'sec-websocket-key': key } = headers;
  if (version !== '13') throw new AppError('upgrade_required', `Sec-WebSocket-Version is ${quoteValue(version)}; it must be 13.`, {});
  if (typeof key === 'string' && /^[+/0-9a-z]{22}==$/i.test(key)) return;
  throw new AppError('bad_message', `Sec-WebSocket-Key is ${quoteValue(key)}; it must be 16 bytes in base64.`, {});
}

/** Null without one. Throws `bad_client_id`. */
function readClientId(request: FastifyRequest): string | null {
  const value = queryOf(request)['client_id'];
  if (value === undefined) return null;
  if (typeof value === 'string' && /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,128}$/u.test(value)) return value;
  throw new AppError('bad_client_id', `client_id is ${quoteValue(value)}; it must be 1 to 128 printable characters, once.`, {});
}

/** Throws `bad_param`. */
function readSince(request: FastifyRequest): number | undefined {
  const value = queryOf(request)['since'];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value);
  throw new AppError('bad_param', `since is ${quoteValue(value)}; it must be a whole number from 0 on.`, { field: 'since' });
}

function queryOf(request: FastifyRequest): Record<string, unknown> {
  return { ...(request.query as object) };
}

function assertRoom(sessions: ReadonlySet<Session>, request: FastifyRequest, limits: SocketLimits): void {
  if (sessions.size >= limits.sockets) throw tooMany('altogether', limits.sockets);
  const address = limitedAddress(request);
  if (address === null) return;
  let fromThere = 0;
  for (const session of sessions) if (session.address === address) fromThere++;
  if (fromThere >= limits.socketsPerAddress) throw tooMany('from one address', limits.socketsPerAddress);
}

function tooMany(which: string, limit: number): AppError {
  return new AppError('too_many_connections', `${limit} sockets ${which} are open already, which is the most; close one.`, { limit });
}
