import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';

const answerSchema = z.union([z.looseObject({ ok: z.literal(true) }), z.object({ ok: z.literal(false), error: z.string() })]);
const timedSchema = z.looseObject({ ms: z.number() });

const PEERS_DIR = join(programDir, 'bench/peers');
const TORCH_PYTHON = join(PEERS_DIR, '.venv/torch/bin/python');

/** diffusers, sdnq and PyTorch in a separate process: `bench/peers/torch/peer.py`, which documents the requests. */
export interface TorchPeer {
  versions: Record<string, string>;
  ask(op: string, request?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Milliseconds of the work alone. */
  time(op: string, request?: Record<string, unknown>): Promise<number>;
  close(): Promise<void>;
}

/** The environment of a comparison: a temporary folder, and one thread per core for each side. */
export interface PeerBench {
  peer: TorchPeer;
  folder: string;
  threads: number;
}

/** Runs `work` beside the peer and ends both in any case. Throws if `npm run peers` has not been run. */
export async function withTorchPeer(work: (bench: PeerBench) => Promise<void>): Promise<void> {
  const threads = availableParallelism();
  const peer = await startTorchPeer(threads);
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  try {
    await work({ peer, folder, threads });
  } finally {
    await peer.close();
    await rm(folder, { recursive: true });
  }
}

/** The peer alone; `python` is one that has its packages. */
export async function startTorchPeer(threads: number, python: string = torchPython()): Promise<TorchPeer> {
  const child = spawn(python, [join(PEERS_DIR, 'torch/peer.py')], {
    env: { ...process.env, OMP_NUM_THREADS: String(threads), TOKENIZERS_PARALLELISM: 'false' },
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  const ask = async (op: string, request: Record<string, unknown> = {}): Promise<Record<string, unknown>> => {
    child.stdin.write(`${JSON.stringify({ op, ...request })}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`The peer ended during ${op}: ${said.join('').slice(-2000)}`);
    const answer = answerSchema.parse(JSON.parse(value));
    if (!answer.ok) throw new Error(`The peer could not do ${op}: ${String(answer.error)}`);
    return answer;
  };
  const versions = z.looseObject({ torch: z.string(), python: z.string() }).parse(await ask('threads', { threads }));
  return {
    versions: { torch: versions.torch, python: versions.python },
    ask,
    time: async (op, request) => timedSchema.parse(await ask(op, request)).ms,
    close: () => ended(child),
  };
}

/** The Python with the peer's packages. Throws if `npm run peers` has not been run. */
export function torchPython(): string {
  if (!hasTorchPeer()) throw new Error(`${TORCH_PYTHON} is missing: run npm run peers -- torch (about 2 GB), then this again.`);
  return TORCH_PYTHON;
}

/** Whether `npm run peers` has installed it. */
export function hasTorchPeer(): boolean {
  return existsSync(TORCH_PYTHON);
}

/** Reads a file that the peer wrote: raw float32, little-endian. */
export async function readFloats(path: string): Promise<Float32Array> {
  const bytes = await readFile(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stdin.end();
  await exit;
}

/** A form in which the peer can hold its weights. */
export interface PeerForm {
  name: string;
  options: Record<string, unknown>;
}

export const PEER_FORMS: readonly PeerForm[] = [
  { name: 'torch float32', options: { dtype: 'float32' } },
  { name: 'torch bfloat16', options: { dtype: 'bfloat16' } },
  { name: 'torch float32, quantized matmul', options: { dtype: 'float32', quantized_matmul: true } },
  { name: 'torch bfloat16, quantized matmul', options: { dtype: 'bfloat16', quantized_matmul: true } },
];

/** Opens with each of `forms` in turn, times the second run of `op`, and leaves the fastest open. Skips forms that cannot run. */
export async function fastestForm(
  peer: TorchPeer,
  openOp: string,
  openRequest: Record<string, unknown>,
  op: string,
  request: Record<string, unknown>,
  forms: readonly PeerForm[] = PEER_FORMS,
): Promise<PeerForm> {
  let fastest: { form: PeerForm; ms: number } | null = null;
  for (const form of forms) {
    try {
      await peer.ask(openOp, { ...openRequest, ...form.options });
      await peer.time(op, request);
    } catch (thrown) {
      console.error(`${form.name} is passed over: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`);
      continue;
    }
    const ms = await peer.time(op, request);
    if (fastest === null || ms < fastest.ms) fastest = { form, ms };
  }
  if (fastest === null) throw new Error(`The peer can run ${op} in no form.`);
  await peer.ask(openOp, { ...openRequest, ...fastest.form.options });
  await peer.time(op, request);
  return fastest.form;
}
