import { connect, type Socket } from 'node:net';
import { Dice } from './dice.ts';
import type { Fuzzed } from './messages.ts';

const SERIES_AT_ONCE = 20;
const ANSWER_MS = 10_000;
const ENDED = 'ended with us';
/** 1000, 1002, 1005, 5000, 0, 3000, 1001 */
const CLOSE_BYTES: [number[], ...number[][]] = [
  [3, 232],
  [3, 234],
  [3, 237],
  [19, 136],
  [0, 0],
  [11, 184],
  [3, 233],
];
const HANDSHAKE =
  'GET /api/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
/** Close codes that docs/protocol.md allows for invalid frames, and 1000 to 1003 if the peer closes with them. */
const CLOSE_CODES = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 4999]);
const WATCH = '{"type":"watch","request_id":"end"}';

/**
 * Sends `count` frames built bit by bit, many of them invalid by RFC 6455, in series of up to 20 per socket, each followed by a valid one. The server must
 * answer that one, or have closed with a code, and must itself send valid frames.
 */
export async function fuzzFrames(port: number, count: number, seed: number): Promise<Fuzzed> {
  const fuzzed: Fuzzed = { sent: 0, valid: 0, answers: new Map(), findings: [] };
  let series = 0;
  const sender = async (): Promise<void> => {
    while (fuzzed.sent < count) await fuzzSeries(port, series++, seed, fuzzed);
  };
  await Promise.all(Array.from({ length: SERIES_AT_ONCE }, sender));
  return fuzzed;
}

async function fuzzSeries(port: number, series: number, seed: number, fuzzed: Fuzzed): Promise<void> {
  const dice = new Dice(seed ^ (0x5f_0000 + series));
  const frames = Array.from({ length: 1 + dice.below(20) }, () => makeFrame(dice));
  fuzzed.sent += frames.length;
  const bytes = Buffer.concat(frames.map((frame) => frame.bytes));
  const outcome = await sendSeries(port, Buffer.concat([bytes, maskedFrame(0x81, Buffer.from(WATCH), dice)]));
  fuzzed.answers.set(outcome, (fuzzed.answers.get(outcome) ?? 0) + 1);
  const code = Number(/^closed (\d+)$/.exec(outcome)?.[1] ?? Number.NaN);
  // a server that waits for the rest of a frame may end only when we close
  const isRight = outcome === 'answered' || CLOSE_CODES.has(code) || (outcome === ENDED && frames.some(({ hasWrongLength }) => hasWrongLength));
  if (!isRight) fuzzed.findings.push(`${outcome} in series ${series}: ${bytes.toString('hex').slice(0, 400)}`);
}

function makeFrame(dice: Dice): { bytes: Buffer; hasWrongLength: boolean } {
  const payload = dice.chance(0.5) ? Buffer.from(dice.pick([WATCH, '{"type":"get_client_jobs"}', '{', '""', '猫'])) : dice.bytes(dice.below(200));
  if (dice.chance(0.8)) return { bytes: maskedFrame(0x81, payload, dice), hasWrongLength: false };
  // existing and reserved opcodes and flags, fragments, and control frames between them
  const first = dice.chance(0.3) ? dice.below(256) : dice.pick([0x01, 0x80, 0x00, 0x88, 0x89, 0x8a, 0x82, 0xc1, 0x91, 0x09]);
  const isClose = first === 0x88 && dice.chance(0.7);
  const bytes = maskedFrame(first, isClose ? Buffer.from([...dice.pick(CLOSE_BYTES), ...payload.subarray(0, 100)]) : payload, dice);
  const hasWrongLength = dice.chance(0.05);
  if (hasWrongLength) bytes[1] = dice.below(256);
  // unmasked, which a client must not send
  else if (dice.chance(0.1)) bytes[1] = (bytes[1] ?? 0) & 0x7f;
  return { bytes, hasWrongLength };
}

function maskedFrame(first: number, payload: Buffer, dice: Dice): Buffer {
  const mask = dice.bytes(4);
  const head = payload.length < 126 ? [first, 0x80 | payload.length] : [first, 0xfe, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, i) => byte ^ (mask[i & 3] ?? 0))]);
}

/** `answered`, `closed CODE`, `ended with us`, or the violation. */
function sendSeries(port: number, bytes: Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket: Socket = connect(port, '127.0.0.1');
  let received = Buffer.alloc(0);
  let isOpen = false;
  const deadline = setTimeout(() => resolve('not answered'), ANSWER_MS);
  socket.on('error', () => {});
  socket.on('close', () => resolve(outcomeOf(received) ?? ENDED));
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (!isOpen) {
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!received.toString('latin1').startsWith('HTTP/1.1 101 ')) return resolve(`no handshake: ${received.toString('latin1').slice(0, 100)}`);
      isOpen = true;
      received = received.subarray(end + 4);
      socket.end(bytes);
    }
    const outcome = outcomeOf(received);
    if (outcome !== null) resolve(outcome);
  });
  socket.write(HANDSHAKE);
  return promise.finally(() => {
    clearTimeout(deadline);
    socket.destroy();
  });
}

/** The verdict on the server's frames so far; null while more must come. */
function outcomeOf(received: Buffer): string | null {
  for (let at = 0; at + 2 <= received.length; ) {
    const [first = 0, second = 0] = received.subarray(at, at + 2);
    const [length, headLength] = second < 126 ? [second, 2] : second === 126 ? [received.length < at + 4 ? 0 : received.readUInt16BE(at + 2), 4] : [0, 10];
    if (second > 126) return `a frame of ours is masked or longer than 64 KiB: ${received.subarray(at, at + 10).toString('hex')}`;
    const end = at + headLength + length;
    if (received.length < end) return null;
    const payload = received.subarray(at + headLength, end);
    if (first === 0x88) return `closed ${payload.length >= 2 ? payload.readUInt16BE(0) : 1000}`;
    if (first === 0x81 && payload.includes('"request_id":"end"')) return 'answered';
    if (first !== 0x81 && first !== 0x8a && first !== 0x89) return `a frame of ours begins with ${first}`;
    at = end;
  }
  return null;
}
