import { createConnection, type Socket } from 'node:net';
import { lines } from './raw-http.ts';

/** The WebSocket as bytes. Source: RFC 6455, section 5.2. */

const GIVE_UP_MS = 10_000;

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameShape {
  opcode: number;
  payload?: string | Buffer;
  /** True by default. */
  fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  reserved?: number;
  /** True by default, as it must be from a client. */
  masked?: boolean;
  /** How the length is written; the shortest form by default. */
  lengthForm?: 7 | 16 | 64;
  /** The length in the header, if it differs from the payload's. */
  claimedLength?: number;
}

/** One frame from a client. */
export function frame({ opcode: code, payload = '', fin = true, reserved = 0, masked = true, lengthForm, claimedLength }: FrameShape): Buffer {
  const bytes = Buffer.from(payload);
  const length = claimedLength ?? bytes.length;
  const form = lengthForm ?? (length < 126 ? 7 : length < 65_536 ? 16 : 64);
  const header = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10);
  header[0] = (fin ? 0x80 : 0) | (reserved << 4) | code;
  header[1] = (masked ? 0x80 : 0) | (form === 7 ? length : form === 16 ? 126 : 127);
  if (form === 16) header.writeUInt16BE(length, 2);
  if (form === 64) header.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([header, bytes]);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  return Buffer.concat([header, mask, bytes.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

/** The payload of a close frame: a code and a reason. */
export function closing(code: number, reason: string | Buffer = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason)]);
}

/** The server's messages, and its close code (1006: the connection ended without a close frame, after ten seconds at the latest). */
export interface RawConversation {
  messages: unknown[];
  closed: number;
}

/** Opens a WebSocket, sends the first bytes, sends the next after each received message, and resolves when the server has closed it. */
export function converse(port: number, parts: readonly Buffer[]): Promise<RawConversation> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    let received = Buffer.alloc(0);
    const unsent = [...parts];
    let isOpen = false;
    let answered = 0;
    const timer = setTimeout(() => socket.destroy(), GIVE_UP_MS);
    socket.on('error', () => {});
    socket.on('data', (part) => {
      received = Buffer.concat([received, part]);
      const end = received.indexOf('\r\n\r\n');
      if (!isOpen && end !== -1) {
        isOpen = true;
        received = received.subarray(end + 4);
        socket.write(unsent.shift() ?? Buffer.alloc(0));
      }
      const { messages } = isOpen ? readFrames(received) : { messages: [] };
      for (; answered < messages.length; answered++) socket.write(unsent.shift() ?? Buffer.alloc(0));
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(readFrames(received));
    });
    greet(socket);
  });
}

function greet(socket: Socket): void {
  const head = ['GET /api/ws HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'];
  socket.write(lines([...head, 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']));
}

function readFrames(bytes: Buffer): RawConversation {
  const messages: unknown[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const code = (bytes[at] ?? 0) & 15;
    const short = (bytes[at + 1] ?? 0) & 127;
    const header = short < 126 ? 2 : 4;
    const length = short < 126 ? short : bytes.readUInt16BE(at + 2);
    // the rest has not arrived yet
    if (at + header + length > bytes.length) break;
    const payload = bytes.subarray(at + header, at + header + length);
    if (code === opcode.close) return { messages, closed: payload.length < 2 ? 1005 : payload.readUInt16BE() };
    if (code === opcode.text) messages.push(JSON.parse(payload.toString()));
    at += header + length;
  }
  return { messages, closed: 1006 };
}
