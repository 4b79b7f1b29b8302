import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildLayer } from '#main/compiler/models/transformer.ts';
import { loadTransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { captionPositions, imagePositions, rotaryTables } from '#main/inference/rotary.ts';
import { relativeDifference } from '#main/parity/comparison.ts';
import { compiledSession } from './harness/compiled-session.ts';
import { writeRandomTransformer } from './harness/random-checkpoint.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import { parityText, type Row } from './harness/row.ts';
import { fastestForm, readFloats, type TorchPeer, withTorchPeer } from './harness/torch-peer.ts';

/** Image tokens of 256 x 256 and 512 x 512 images, and prompt tokens. */
const CASES = [
  { side: 16, captionTokens: 64 },
  { side: 32, captionTokens: 160 },
];

/** One DiT layer of the true width with random uint4 + SVD weights, beside the same layer in diffusers with sdnq in its fastest form; and its parity. */
export async function compareBlock(): Promise<void> {
  await withTorchPeer(async ({ peer, folder, threads }) => {
    await writeRandomTransformer(folder, 'uint4', 1);
    const rows: Row[] = [];
    for (const { side, captionTokens } of CASES) rows.push(await compare(folder, side, captionTokens, peer, threads));
    await publish({ name: 'block', what: 'one DiT layer, width 3840, uint4 with SVD of rank 32, random weights', versions: peer.versions, rows });
  });
}

async function compare(folder: string, side: number, captionTokens: number, peer: TorchPeer, threads: number): Promise<Row> {
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
    condition: { data: condition, shape: [1, condition.length] },
    cos: { data: tables.cos, shape: [tables.rows, tables.width] },
    sin: { data: tables.sin, shape: [tables.rows, tables.width] },
  };
  const differences = { 'cpu-exact': Number.NaN, 'cpu-fast': Number.NaN };
  const sessionOf = async (target: 'cpu-exact' | 'cpu-fast') => {
    const session = await compiledSession({
      name: 'layer',
      dir,
      stem: 'diffusion_pytorch_model',
      target,
      compiledDir: join(folder, `${target}-${tokens}`),
      threads,
      build: (builder, weights) => buildLayer(builder, config, weights, 0),
    });
    const { y } = await session.run(inputs);
    differences[target] = relativeDifference(y ?? new Float32Array(), reference);
    return session;
  };
  await (await sessionOf('cpu-exact')).release();
  const session = await sessionOf('cpu-fast');
  const series = await takeTurns(
    ROUNDS,
    () => timeMs(() => session.run(inputs)),
    () => peer.time('run_block', request),
  );
  await session.release();
  return {
    label: `${tokens} tokens`,
    unit: 'ms',
    ours: series.ours,
    peer: { name: form.name, series: series.peer },
    must: 0.6,
    goal: 0.4,
    note: parityText({ exact: differences['cpu-exact'], fast: differences['cpu-fast'], peer: peerDifference }),
  };
}
