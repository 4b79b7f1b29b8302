import { type ClientMessage, type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';

/** The part of a WebSocket that the client uses. */
export interface Wire {
  send(text: string): void;
  close(): void;
}

/** Events of a wire; none is fired before `open` has returned. */
export interface WireEvents {
  onOpen(): void;
  onFrame(data: unknown): void;
  onClose(): void;
}

export type Connection = { state: 'connecting' } | { state: 'open' } | { state: 'waiting'; retryAtMs: number };

export interface StudioSocketOptions {
  /** Messages that an earlier page of this window sent without an answer; they are sent again. */
  unanswered: readonly ClientMessage[];
  /** Saves the unanswered messages for the page after a reload. */
  keepUnanswered(messages: readonly ClientMessage[]): void;
  open(events: WireEvents): Wire;
  onMessage(message: ServerMessage): void;
  onConnection(connection: Connection): void;
  /** A frame that does not match the contract, for example from another version of the server. */
  onUnreadable(frame: unknown): void;
  now(): number;
  /** Runs `action` once after `delayMs`; the returned function cancels it. */
  schedule(action: () => void, delayMs: number): () => void;
}

export interface StudioSocket {
  /**
   * Sends now, or as soon as the connection is open. A message with a `request_id` is kept until it is answered and sent again after a reconnect:
   * the server accepts the same job or cancellation twice.
   */
  send(message: ClientMessage): void;
  /** Drops an unanswered message, so a reconnect does not send it again. */
  withdraw(requestId: string): void;
  /** Connects at once; an open connection is checked instead. */
  retryNow(): void;
  close(): void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/** After this long without a message the server is asked for one: a lost network or a hung server closes no connection. */
const SILENCE_MS = 15_000;
/** A connection that has not answered or opened for this long is given up. */
const ANSWER_MS = 10_000;

/** Delay before the next attempt after `failures` failed ones: doubles up to ten seconds. */
export function retryDelayMs(failures: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 16));
}

/** A WebSocket client that reconnects, watches all jobs with previews, and asks for the events it missed. */
export function createStudioSocket(options: StudioSocketOptions): StudioSocket {
  const unanswered = new Map(options.unanswered.map((message) => [String(message.request_id), message]));
  let wire: Wire | null = null;
  let isOpen = false;
  let isClosed = false;
  let failures = 0;
  let newestSeq: number | null = null;
  let cancelRetry: (() => void) | null = null;
  let cancelCheck: (() => void) | null = null;

  function connect(): void {
    cancelRetry = null;
    options.onConnection({ state: 'connecting' });
    // late events of a wire that was given up are ignored
    const opened: Wire = options.open({
      onOpen: () => opened === wire && onOpen(),
      onFrame: (frame) => opened === wire && onFrame(frame),
      onClose: () => opened === wire && onClose(),
    });
    wire = opened;
    checkAfter(ANSWER_MS, giveUp);
  }

  function checkAfter(delayMs: number, check: () => void): void {
    cancelCheck?.();
    cancelCheck = options.schedule(check, delayMs);
  }

  function checkConnection(): void {
    write({ type: 'watch' });
    checkAfter(ANSWER_MS, giveUp);
  }

  function giveUp(): void {
    const silent = wire;
    onClose();
    silent?.close();
  }

  function onOpen(): void {
    isOpen = true;
    failures = 0;
    checkAfter(SILENCE_MS, checkConnection);
    write({ type: 'watch', all: true, previews: true, models: true, ...(newestSeq === null ? {} : { since: newestSeq }) });
    for (const message of unanswered.values()) write(message);
    options.onConnection({ state: 'open' });
  }

  function onClose(): void {
    isOpen = false;
    wire = null;
    cancelCheck?.();
    cancelCheck = null;
    if (isClosed) return;
    const delayMs = retryDelayMs(failures);
    failures += 1;
    options.onConnection({ state: 'waiting', retryAtMs: options.now() + delayMs });
    cancelRetry = options.schedule(connect, delayMs);
  }

  function onFrame(frame: unknown): void {
    checkAfter(SILENCE_MS, checkConnection);
    const message = parseFrame(frame);
    if (message === null) {
      options.onUnreadable(frame);
      return;
    }
    if ('seq' in message && message.seq !== undefined) newestSeq = Math.max(newestSeq ?? 0, message.seq);
    if ('request_id' in message && message.request_id !== undefined && unanswered.delete(String(message.request_id))) keep();
    options.onMessage(message);
  }

  function keep(): void {
    options.keepUnanswered([...unanswered.values()]);
  }

  function write(message: ClientMessage): void {
    wire?.send(JSON.stringify(message));
  }

  connect();
  return {
    send(message) {
      if (message.request_id !== undefined) {
        unanswered.set(String(message.request_id), message);
        keep();
      }
      if (isOpen) write(message);
    },
    withdraw(requestId) {
      if (unanswered.delete(requestId)) keep();
    },
    retryNow() {
      if (isOpen) checkConnection();
      else if (cancelRetry !== null) {
        cancelRetry();
        connect();
      }
    },
    close() {
      isClosed = true;
      cancelRetry?.();
      cancelCheck?.();
      wire?.close();
    },
  };
}

function parseFrame(frame: unknown): ServerMessage | null {
  if (typeof frame !== 'string') return null;
  let json: unknown;
  try {
    json = JSON.parse(frame);
  } catch {
    return null;
  }
  const parsed = serverMessageSchema.safeParse(json);
  return parsed.success ? parsed.data : null;
}
