import { isUtf8 } from 'node:buffer';
import type { WebSocket } from 'ws';
import { type ClientMessage, clientMessageSchema, type RequestId, requestIdSchema, serverMessageSchema } from '#shared/protocol/messages.ts';
import { openSocket } from '../../bench/load/sockets.ts';
import { Dice } from './dice.ts';
import { anyValue, type Json, mutateText, mutateTree } from './mutate.ts';

const ANSWER_MS = 20_000;
const UNKNOWN_JOB = '0'.repeat(64);

export interface Fuzzed {
  sent: number;
  /** Frames that were taken as messages, so that it can be seen that not everything fails at the door. */
  valid: number;
  /** Answers by code, or by type if they have no code. */
  answers: Map<string, number>;
  /** What must not have been, with what repeats it. */
  findings: string[];
}

type Frame = { bytes: Buffer; binary: boolean };

/**
 * Sends `count` frames over `connections` sockets, about half of them valid messages, and holds the server to: each frame is answered with the right kind of
 * message and its `request_id`, the socket stays open unless a text is not UTF-8 (RFC 6455, section 8.1), and every message matches the contract. The seed and
 * a connection's number determine its frames.
 */
export async function fuzzMessages(port: number, count: number, connections: number, seed: number): Promise<Fuzzed> {
  const fuzzed: Fuzzed = { sent: 0, valid: 0, answers: new Map(), findings: [] };
  const each = Math.ceil(count / connections);
  await Promise.all(Array.from({ length: connections }, (_, i) => fuzzConnection(port, Math.min(each, count - i * each), i, seed, fuzzed)));
  return fuzzed;
}

async function fuzzConnection(port: number, count: number, number: number, seed: number, fuzzed: Fuzzed): Promise<void> {
  const dice = new Dice(seed + number);
  // every fourth has no client id; pairs of others share one
  const query = number % 4 === 0 ? '' : `?client_id=fuzz-${number >> 1}`;
  let session = new FuzzSession(await openSocket(port, query));
  const known = [UNKNOWN_JOB];
  for (let i = 0; i < count; i++) {
    const frame = makeFrame(dice, known, `${number}-${i}`);
    const where = `connection ${number}, frame ${i}: ${JSON.stringify(frame.bytes.toString('latin1').slice(0, 400))}`;
    if (!frame.binary && !isUtf8(frame.bytes)) {
      const answer = await session.ask(frame, 'none');
      if (answer !== null || session.closeCode !== 1007) fuzzed.findings.push(`not closed with 1007: ${where}`);
      fuzzed.sent++;
      session.close();
      session = new FuzzSession(await openSocket(port, query));
      continue;
    }
    const expected = expectation(frame);
    if (expected.type !== 'error') fuzzed.valid++;
    fuzzed.sent++;
    const between = await session.ask(frame, `end of ${number}-${i}`);
    if (between === null) {
      fuzzed.findings.push(`not answered, or the socket closed with ${session.closeCode ?? 'nothing'}: ${where}`);
      return;
    }
    const answer = between.find((message) => isAnswer(message, expected));
    if (answer === undefined) fuzzed.findings.push(`no answer among ${JSON.stringify(between)} to ${where}`);
    else if (answer.code === 'internal') fuzzed.findings.push(`the server failed at ${where}`);
    const kind = answer?.code ?? answer?.type ?? 'none';
    fuzzed.answers.set(kind, (fuzzed.answers.get(kind) ?? 0) + 1);
    for (const message of between) {
      if (!serverMessageSchema.safeParse(message).success) fuzzed.findings.push(`${JSON.stringify(message)} is not of the contract, after ${where}`);
      if (message.job_id !== undefined && known.length < 50) known.push(message.job_id);
    }
  }
  session.close();
}

/** A status without its own `request_id` has the one of the client's request for the job. */
function isAnswer(message: Received, { type, requestId }: { type: string; requestId: RequestId }): boolean {
  if (message.type !== 'error' && message.type !== type) return false;
  return message.request_id === requestId || (message.type === 'job_status' && requestId === undefined);
}

interface Received {
  type: string;
  request_id?: RequestId;
  job_id?: string;
  code?: string;
}

/** A socket that is asked one thing after the other. */
class FuzzSession {
  closeCode: number | null = null;
  readonly #socket: WebSocket;
  #between: Received[] = [];
  #end: { requestId: string; resolve(between: Received[] | null): void } | null = null;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data: Buffer) => {
      const message: Received = JSON.parse(data.toString());
      if (this.#end !== null && message.request_id === this.#end.requestId) this.#end.resolve(this.#between);
      else this.#between.push(message);
    });
    socket.on('close', (code) => {
      this.closeCode = code;
      this.#end?.resolve(null);
    });
  }

  /** What came between the frame and the answer to a question that follows it; messages are answered in order. Null where that never came. */
  async ask({ bytes, binary }: Frame, requestId: string): Promise<Received[] | null> {
    this.#between = [];
    const { promise, resolve } = Promise.withResolvers<Received[] | null>();
    this.#end = { requestId, resolve };
    const deadline = setTimeout(() => resolve(null), ANSWER_MS);
    this.#socket.send(bytes, { binary });
    this.#socket.send(JSON.stringify({ type: 'get_status', job_id: UNKNOWN_JOB, request_id: requestId }));
    const between = await promise;
    clearTimeout(deadline);
    return between;
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** What the contract has to say to a frame, by the schemas. */
function expectation({ bytes, binary }: Frame): { type: string; requestId: RequestId } {
  const text = bytes.toString('utf8');
  const json = binary ? null : parseOrNull(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return { type: 'error', requestId: undefined };
  const message: Record<string, unknown> = { ...json };
  if (message['request_id'] === null) delete message['request_id'];
  const requestId = requestIdSchema.safeParse(message['request_id']).data;
  const parsed = clientMessageSchema.safeParse(message);
  return { type: parsed.success ? answerTypes[parsed.data.type] : 'error', requestId };
}

const answerTypes: Record<ClientMessage['type'], string> = {
  create_job: 'job_status',
  get_status: 'job_status',
  cancel_job: 'job_status',
  get_client_jobs: 'client_jobs',
  watch: 'watching',
};

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function makeFrame(dice: Dice, known: readonly string[], requestId: string): Frame {
  if (dice.chance(0.05)) return { bytes: dice.bytes(dice.below(300)), binary: dice.chance(0.5) };
  const message = makeMessage(dice, known, requestId);
  if (dice.chance(0.55)) return { bytes: Buffer.from(JSON.stringify(message)), binary: dice.chance(0.02) };
  if (dice.chance(0.05)) return { bytes: Buffer.from(JSON.stringify(anyValue(dice))), binary: false };
  if (dice.chance(0.03)) return { bytes: deep(dice), binary: false };
  if (dice.chance(0.35)) return { bytes: mutateText(dice, JSON.stringify(message)), binary: false };
  for (let i = 0; i <= dice.below(3); i++) mutateTree(dice, message);
  return { bytes: Buffer.from(JSON.stringify(message)), binary: false };
}

function makeMessage(dice: Dice, known: readonly string[], requestId: string): { [key: string]: Json } {
  const jobId = known[dice.below(known.length)] ?? UNKNOWN_JOB;
  const id: { [key: string]: Json } = dice.chance(0.9) ? { request_id: requestId } : {};
  // lists get long and are rarely requested
  if (dice.chance(0.02)) return { type: 'get_client_jobs', ...id };
  switch (dice.below(5)) {
    case 0:
    case 1:
      return { type: 'create_job', task_type: 'text_to_image', ...id, params: makeParams(dice) };
    case 2:
      return { type: 'get_status', job_id: jobId, ...id };
    case 3:
      return { type: 'cancel_job', job_id: jobId, ...id };
    default:
      return { type: 'watch', ...id, ...(dice.chance(0.5) ? { since: dice.below(2000) } : {}), ...(dice.chance(0.3) ? { previews: dice.chance(0.5) } : {}) };
  }
}

function makeParams(dice: Dice): { [key: string]: Json } {
  // few prompts, so that jobs are joined, cancelled and requested again
  const params: { [key: string]: Json } = { prompt: `fuzz ${dice.below(400)}`, width: 256, height: 256 };
  if (dice.chance(0.3)) params['steps'] = 1 + dice.below(50);
  if (dice.chance(0.3)) params['seed'] = dice.below(3);
  if (dice.chance(0.3)) params['guidance_scale'] = dice.below(41) / 2;
  if (dice.chance(0.2)) params['model_type'] = dice.pick(['uint4', 'int8']);
  return params;
}

function deep(dice: Dice): Buffer {
  const levels = dice.below(20_000);
  return Buffer.from(dice.chance(0.5) ? '['.repeat(levels) + ']'.repeat(levels) : '{"a":'.repeat(levels >> 1));
}
