import { join } from 'node:path';
import { loadTransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { captionPositions, imagePositions } from '#main/inference/rotary.ts';
import { BLOCK_CASES, layerInputs, layerSession } from './block-layer.ts';
import { type Comparison, publish, ROUNDS, takeTurns } from './comparison.ts';
import { fastestFloat, fastestInt8 } from './gemm-rates.ts';
import { median } from './median.ts';
import { writeRandomTransformer } from './random-checkpoint.ts';
import { type PeerBench, withTorchPeer } from './torch-peer.ts';

const RANK = 32;

/**
 * One DiT layer of the true width against the time of its operations at the best rates that products of matrices reach on this machine at that moment: the
 * quantized linears at int8's, attention and the low-rank corrections at float32's. Norms, rotation and activations count as nothing.
 */
export async function compareBlockToFloor(): Promise<void> {
  await withTorchPeer(async (bench) => {
    await writeRandomTransformer(bench.folder, 'uint4', 1);
    const rows: Comparison[] = [];
    for (const { side, captionTokens } of BLOCK_CASES) rows.push(await compare(bench, side, captionTokens));
    await publish({ name: 'block-floor', what: 'one DiT layer beside the bare products in it', versions: bench.peer.versions, rows });
  });
}

async function compare(bench: PeerBench, side: number, captionTokens: number): Promise<Comparison> {
  const { folder, threads } = bench;
  const dir = join(folder, 'transformer');
  const config = await loadTransformerConfig(dir);
  const tokens = side * side + captionTokens;
  const positions = [...imagePositions(side, side, side * side, captionTokens), ...captionPositions(captionTokens)];
  const inputs = layerInputs(config, torchRandn(1, tokens * config.width), torchRandn(2, 256), positions);
  const session = await layerSession({ dir, target: 'cpu-fast', compiledDir: join(folder, `floor-${tokens}`), threads });

  const { width } = config;
  const inner = Math.floor((width / 3) * 8);
  const linears = [...Array<[number, number]>(4).fill([width, width]), [width, inner], [width, inner], [inner, width]] as const;
  const linearOperations = linears.reduce((sum, [k, n]) => sum + 2 * tokens * k * n, 0);
  const correctionOperations = linears.reduce((sum, [k, n]) => sum + 2 * tokens * RANK * (k + n), 0);
  const attentionOperations = 4 * tokens * tokens * width;
  const int8 = await fastestInt8(bench, tokens);
  const float = await fastestFloat(bench, tokens);
  const rates: { int8: number[]; float: number[] } = { int8: [], float: [] };

  const ours = async () => {
    const startedAt = performance.now();
    await session.run(inputs);
    return performance.now() - startedAt;
  };
  const floor = async () => {
    const [int8Rate, floatRate] = [await int8.rate(), await float.rate()];
    rates.int8.push(int8Rate);
    rates.float.push(floatRate);
    return linearOperations / int8Rate + (attentionOperations + correctionOperations) / floatRate;
  };
  const series = await takeTurns(ROUNDS, ours, floor);
  await session.release();
  await int8.release();
  await float.release();
  const gigaflops = (series: readonly number[]) => `${(median(series) / 1e6).toFixed(0)} GFLOP/s`;
  return {
    label: `${tokens} tokens`,
    unit: 'ms',
    ours: series.ours,
    peer: { name: `int8 by ${int8.name} at ${gigaflops(rates.int8)}, float32 by ${float.name} at ${gigaflops(rates.float)}`, series: series.peer },
    must: 2.5,
    goal: 1.6,
    note: `${(linearOperations / 1e9).toFixed(0)} GFLOP in quantized linears, ${((attentionOperations + correctionOperations) / 1e9).toFixed(0)} in float32`,
  };
}
