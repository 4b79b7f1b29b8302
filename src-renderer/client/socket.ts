import { type ClientMessage, type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';

/** What is used of a WebSocket. */
export interface Wire {
  send(text: string): void;
  close(): void;
}

/** What a wire tells; never before `open` has returned it. */
export interface WireEvents {
  onOpen(): void;
  onFrame(data: unknown): void;
  onClose(): void;
}

export type Connection = { state: 'connecting' } | { state: 'open' } | { state: 'waiting'; retryAtMs: number };

export interface StudioSocketOptions {
  /** What an earlier page of this window had sent without an answer: sent again. */
  unanswered: readonly ClientMessage[];
  /** Keeps what has no answer yet, for after a reload. */
  keepUnanswered(messages: readonly ClientMessage[]): void;
  open(events: WireEvents): Wire;
  onMessage(message: ServerMessage): void;
  onConnection(connection: Connection): void;
  /** A frame that does not fit the contract: another version of the server, or a fault. */
  onUnreadable(frame: unknown): void;
  now(): number;
  /** Runs `action` once after `delayMs`; the result takes it back. */
  schedule(action: () => void, delayMs: number): () => void;
}

export interface StudioSocket {
  /**
   * Sends now, or as soon as the connection stands again. A message with a `request_id` is kept until it is answered and sent again after a broken connection:
   * the server takes the same job or cancellation twice without harm.
   */
  send(message: ClientMessage): void;
  /** Tries to connect at once; an open connection has to show that it still carries. */
  retryNow(): void;
  close(): void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/** After so long without a word the server is asked for one: a network that goes away, or a server that hangs, closes nothing. */
const SILENCE_MS = 15_000;
/** A connection that has not answered for so long, to that or to being opened, is none. */
const ANSWER_MS = 10_000;

/** Delay before the attempt after `failures` failed ones: doubling, up to ten seconds. */
export function retryDelayMs(failures: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 16));
}

/** A WebSocket client of the server that reconnects by itself, watches all jobs with previews and asks for the events that it missed. */
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
    // a wire that was given up says what it has left to say later, and is not heard
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

  function askForAWord(): void {
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
    checkAfter(SILENCE_MS, askForAWord);
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
    checkAfter(SILENCE_MS, askForAWord);
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
    retryNow() {
      if (isOpen) askForAWord();
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
