import { buildLayer } from '#main/compiler/models/transformer.ts';
import { loadTransformerConfig, type TransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { rotaryTables, type TokenPosition } from '#main/inference/rotary.ts';
import type { OrtTensor, Session } from '#main/inference/session.ts';
import type { GraphTarget } from '#main/lib/compiled.ts';
import { compiledSession } from './compiled-session.ts';

/** Image tokens of 256 x 256 and 512 x 512 pictures, and caption tokens. */
export const BLOCK_CASES = [
  { side: 16, captionTokens: 64 },
  { side: 32, captionTokens: 160 },
];

/** The first layer of a transformer's folder `dir`, alone. */
export async function layerSession(order: { dir: string; target: GraphTarget; compiledDir: string; threads: number }): Promise<Session> {
  const config = await loadTransformerConfig(order.dir);
  return compiledSession({
    ...order,
    name: 'layer',
    stem: 'diffusion_pytorch_model',
    build: (builder, weights) => buildLayer(builder, config, weights, 0),
  });
}

/** Its inputs for x [tokens, width], condition [256] and the tokens' positions [tokens, 3]. */
export function layerInputs(
  config: TransformerConfig,
  x: Float32Array,
  condition: Float32Array,
  positions: readonly TokenPosition[],
): Record<string, OrtTensor> {
  const tables = rotaryTables({ theta: config.ropeTheta, axes: config.ropeAxes }, positions);
  return {
    x: { data: x, shape: [x.length / config.width, config.width] },
    condition: { data: condition, shape: [1, condition.length] },
    cos: { data: tables.cos, shape: [tables.rows, tables.width] },
    sin: { data: tables.sin, shape: [tables.rows, tables.width] },
  };
}
