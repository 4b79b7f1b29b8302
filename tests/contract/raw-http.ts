import { createConnection, type Socket } from 'node:net';

const GIVE_UP_MS = 10_000;

/** The answers on one connection. */
export interface RawAnswer {
  /** One per answer, in order. */
  statuses: number[];
  /** Head and body of the last one. */
  head: string;
  body: string;
  /** `code` and `field` of the last body if it is JSON. */
  code: string | undefined;
  field: string | undefined;
}

/** Sends bytes unchanged (text is Latin-1) over a new connection, and resolves when the server closes it, or after ten seconds. */
export function exchange(port: number, bytes: string | Buffer): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const parts: Buffer[] = [];
    const timer = setTimeout(() => socket.destroy(), GIVE_UP_MS);
    socket.on('data', (part) => parts.push(part));
    // the server may close while a long request is still being sent
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(readAnswer(Buffer.concat(parts).toString('utf8')));
    });
    write(socket, bytes);
  });
}

/** Request line and headers, each with its line end, the empty line after them, and the rest. */
export function lines(head: readonly string[], body = ''): string {
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

function write(socket: Socket, bytes: string | Buffer): void {
  if (typeof bytes === 'string') socket.write(bytes, 'latin1');
  else socket.write(bytes);
}

function readAnswer(text: string): RawAnswer {
  const heads = [...text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)];
  const last = text.slice(heads.at(-1)?.index ?? 0);
  const end = last.indexOf('\r\n\r\n');
  const [head, rest] = end === -1 ? [last, ''] : [last.slice(0, end), last.slice(end + 4)];
  const json = parseObject(rest);
  return { statuses: heads.map(([, status]) => Number(status)), head, body: rest, code: textOf(json['code']), field: textOf(json['field']) };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
