import { LORA_DOWN, LORA_UP, type Lora, type LoraFactors, type LoraTarget } from '#main/lib/compiled.ts';
import type { OrtTensor } from '../session.ts';

export interface WeightedLora {
  lora: Lora;
  weight: number;
}

/** What graphs that take LoRAs are given beside their other inputs. */
export interface LoraInputs {
  /** Names the LoRAs and their weights. */
  key: string;
  captionRefiner: Record<string, OrtTensor>;
  denoiser: Record<string, OrtTensor>;
}

/** Joins the LoRAs of a job into the inputs of the graphs; the last result is kept, since a device keeps its own copy of the same tensors. */
export function createLoraInputs(): (targets: readonly LoraTarget[], loras: readonly WeightedLora[]) => LoraInputs {
  let last: LoraInputs = { key: '', captionRefiner: {}, denoiser: {} };
  return (targets, loras) => {
    // in one order, so that the sums are the same bits whatever order they were named in
    const sorted = loras.toSorted((a, b) => (a.lora.identity < b.lora.identity ? -1 : 1));
    const key = targets.length === 0 ? '' : JSON.stringify(sorted.map(({ lora, weight }) => [lora.identity, weight]));
    if (key !== last.key) last = { key, captionRefiner: inputsOf('captionRefiner', targets, sorted), denoiser: inputsOf('denoiser', targets, sorted) };
    return last;
  };
}

function inputsOf(part: LoraTarget['part'], targets: readonly LoraTarget[], loras: readonly WeightedLora[]): Record<string, OrtTensor> {
  const inputs: Record<string, OrtTensor> = {};
  for (const { name, inWidth, outWidth } of targets.filter((target) => target.part === part)) {
    const parts = loras.flatMap(({ lora, weight }) => {
      const factors = lora.modules.get(name);
      return factors ? [{ factors, weight }] : [];
    });
    const { rank, down, up } = parts.length === 0 ? nothing(inWidth, outWidth) : joined(parts, inWidth, outWidth);
    inputs[LORA_DOWN + name] = { data: down, shape: [rank, inWidth] };
    inputs[LORA_UP + name] = { data: up, shape: [outWidth, rank] };
  }
  return inputs;
}

function nothing(inWidth: number, outWidth: number): LoraFactors {
  return { rank: 1, down: new Float32Array(inWidth), up: new Float32Array(outWidth) };
}

/** One product for all of them: their rows of `down` under each other, times their weights, and their columns of `up` beside each other. */
function joined(parts: readonly { factors: LoraFactors; weight: number }[], inWidth: number, outWidth: number): LoraFactors {
  const rank = parts.reduce((sum, { factors }) => sum + factors.rank, 0);
  const down = new Float32Array(rank * inWidth);
  const up = new Float32Array(outWidth * rank);
  let start = 0;
  for (const { factors, weight } of parts) {
    for (let i = 0; i < factors.down.length; i++) down[start * inWidth + i] = (factors.down[i] ?? 0) * weight;
    for (let row = 0; row < outWidth; row++) up.set(factors.up.subarray(row * factors.rank, (row + 1) * factors.rank), row * rank + start);
    start += factors.rank;
  }
  return { rank, down, up };
}
