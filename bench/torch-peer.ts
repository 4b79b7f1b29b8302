import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';

const answerSchema = z.union([z.looseObject({ ok: z.literal(true) }), z.object({ ok: z.literal(false), error: z.string() })]);
const timedSchema = z.looseObject({ ms: z.number() });

/** diffusers, sdnq and PyTorch in a process of their own: `bench/peers/torch/peer.py`, which describes the requests. */
export interface TorchPeer {
  versions: Record<string, string>;
  ask(op: string, request?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Milliseconds of the work alone. */
  time(op: string, request?: Record<string, unknown>): Promise<number>;
  close(): Promise<void>;
}

/** Throws where `npm run peers` has not been run. */
export async function startTorchPeer(threads: number): Promise<TorchPeer> {
  const folder = join(programDir, 'bench/peers');
  const python = join(folder, '.venv/torch/bin/python');
  if (!existsSync(python)) throw new Error(`${python} is missing: run npm run peers -- torch (about 2 GB), then this again.`);
  const child = spawn(python, [join(folder, 'torch/peer.py')], { env: { ...process.env, OMP_NUM_THREADS: String(threads), TOKENIZERS_PARALLELISM: 'false' } });
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

async function ended(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stdin.end();
  await exit;
}
