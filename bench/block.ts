import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompileJob } from '#main/compiler/compile-job.ts';
import { buildLayer } from '#main/compiler/models/transformer.ts';
import { loadTransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { createSession } from '#main/inference/ort.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { captionPositions, imagePositions, rotaryTables } from '#main/inference/rotary.ts';
import { relativeDifference } from '#main/parity/comparison.ts';
import { type Comparison, publish, takeTurns } from './comparison.ts';
import { writeRandomTransformer } from './random-checkpoint.ts';
import { fastestForm, readFloats, startTorchPeer, type TorchPeer } from './torch-peer.ts';

const ROUNDS = 5;
/** Image tokens of 256 x 256 and 512 x 512 pictures, and caption tokens. */
const CASES = [
  { side: 16, captionTokens: 64 },
  { side: 32, captionTokens: 160 },
];

/** One DiT layer of the true width with random uint4 + SVD weights, against the same layer in diffusers with sdnq in its fastest form; and its parity. */
export async function compareBlock(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-block-'));
  const threads = availableParallelism();
  const peer = await startTorchPeer(threads);
  try {
    await writeRandomTransformer(folder, 'uint4', 1);
    const rows: Comparison[] = [];
    for (const { side, captionTokens } of CASES) rows.push(await compare(folder, side, captionTokens, peer, threads));
    await publish({ name: 'block', what: 'one DiT layer, width 3840, uint4 with SVD of rank 32, random weights', versions: peer.versions, rows });
  } finally {
    await peer.close();
    await rm(folder, { recursive: true });
  }
}

async function compare(folder: string, side: number, captionTokens: number, peer: TorchPeer, threads: number): Promise<Comparison> {
  const dir = join(folder, 'transformer');
  const config = await loadTransformerConfig(dir);
  const tokens = side * side + captionTokens;
  const x = torchRandn(1, tokens * config.width);
  const condition = torchRandn(2, 256);
  const positions = [...imagePositions(side, side, side * side, captionTokens), ...captionPositions(captionTokens)];
  const [xFile, conditionFile, out] = [join(folder, 'x.f32'), join(folder, 'condition.f32'), join(folder, 'y.f32')];
  await writeFile(xFile, new Uint8Array(x.buffer));
  await writeFile(conditionFile, new Uint8Array(condition.buffer));
  const request = { x: xFile, condition: conditionFile, tokens, positions };

  await peer.ask('open_block', { dir, dtype: 'float32' });
  await peer.ask('run_block', { ...request, out });
  const reference = await readFloats(out);
  const form = await fastestForm(peer, 'open_block', { dir }, 'run_block', request);
  await peer.ask('run_block', { ...request, out });
  const peerDifference = relativeDifference(await readFloats(out), reference);

  const tables = rotaryTables({ theta: config.ropeTheta, axes: config.ropeAxes }, positions);
  const inputs = {
    x: { data: x, shape: [tokens, config.width] },
    condition: { data: condition, shape: [1, 256] },
    cos: { data: tables.cos, shape: [tables.rows, tables.width] },
    sin: { data: tables.sin, shape: [tables.rows, tables.width] },
  };
  const differences: Record<string, number> = {};
  const sessionOf = async (target: 'cpu-exact' | 'cpu-fast') => {
    const compiledDir = join(folder, `${target}-${tokens}`);
    await mkdir(compiledDir);
    const job = new CompileJob({ writeDir: compiledDir, finalDir: compiledDir }, target, 1, () => {});
    const model = await job.openModel(dir, 'diffusion_pytorch_model');
    const graph = await job.graph('layer', model, (builder, weights) => buildLayer(builder, config, weights, 0));
    const session = await createSession(graph, { threads });
    const { y } = await session.run(inputs);
    differences[target] = relativeDifference(y ?? new Float32Array(), reference);
    return session;
  };
  await (await sessionOf('cpu-exact')).release();
  const session = await sessionOf('cpu-fast');
  const ours = async () => {
    const startedAt = performance.now();
    await session.run(inputs);
    return performance.now() - startedAt;
  };
  const series = await takeTurns(ROUNDS, ours, () => peer.time('run_block', request));
  await session.release();
  const show = (difference: number | undefined) => (difference ?? Number.NaN).toExponential(1);
  return {
    label: `${tokens} tokens`,
    unit: 'ms',
    ours: series.ours,
    peer: { name: form.name, series: series.peer },
    must: 0.6,
    goal: 0.4,
    note: `largest difference to float32 by the largest value: exact ${show(differences['cpu-exact'])}, fast ${show(differences['cpu-fast'])}, the peer ${show(peerDifference)}`,
  };
}
