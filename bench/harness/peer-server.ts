import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programDir } from '#main/lib/program-files.ts';
import { type PeerForm, torchPython } from './torch-peer.ts';

/** `bench/peers/torch/server.py`: FastAPI with diffusers and sdnq, with the original's protocol. */
export interface PeerServer {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** Serves the checkpoint in `form`; images go to `outputsDir`. */
export async function startPeerServer(checkpointDir: string, form: PeerForm, outputsDir: string): Promise<PeerServer> {
  const products = form.options['quantized_matmul'] === true ? 'quantized' : 'plain';
  const threads = String(availableParallelism());
  const child = spawn(
    torchPython(),
    [join(programDir, 'bench/peers/torch/server.py'), '0', checkpointDir, String(form.options['dtype']), products, threads, outputsDir],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, OMP_NUM_THREADS: threads, TOKENIZERS_PARALLELISM: 'false' } },
  );
  const gone = once(child, 'exit');
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  for await (const line of createInterface(child.stdout)) {
    const url = /^ready (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return {
      url,
      pid: child.pid ?? 0,
      stop: async () => {
        child.kill('SIGKILL');
        await gone;
      },
    };
  }
  throw new Error(`the peer's server ended before it served: ${said.join('').slice(-2000)}`);
}
