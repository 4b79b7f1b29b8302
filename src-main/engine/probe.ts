import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import { createSession } from '#main/inference/ort.ts';
import type { OrtTensor, SessionOptions } from '#main/inference/session.ts';
import type { ProbeResult } from './protocol.ts';

const [CHANNELS, SIDE, KERNEL] = [16, 48, 3];
const SIZE = 192;
const RUNS = 3;

/** Runs a small convolution and a small matrix product on an execution provider and compares them with sums made here. Throws what ONNX Runtime throws. */
export async function probeDevice(options: SessionOptions): Promise<ProbeResult> {
  const dir = await mkdtemp(join(tmpdir(), 'probe-'));
  try {
    const onnxPath = join(dir, 'probe.onnx');
    await writeFile(onnxPath, probeGraph());
    const session = await createSession({ onnxPath, weightsDir: dir }, options);
    const inputs: Record<string, OrtTensor> = {
      image: { data: pattern(CHANNELS * SIDE * SIDE, 7), shape: [1, CHANNELS, SIDE, SIDE] },
      matrix: { data: pattern(SIZE * SIZE, 5), shape: [SIZE, SIZE] },
    };
    let outputs = await session.run(inputs);
    const times: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const startedAt = performance.now();
      outputs = await session.run(inputs);
      times.push(performance.now() - startedAt);
    }
    await session.release();
    const errors = [errorOf(outputs['convolved'], convolved()), errorOf(outputs['product'], product())];
    const [convolutionError = null, productError = null] = errors;
    const error = convolutionError === null || productError === null ? null : Math.max(convolutionError, productError);
    return { milliseconds: times.toSorted((a, b) => a - b)[1] ?? 0, error };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function probeGraph(): Uint8Array {
  const graph = new GraphBuilder('probe');
  const image = graph.input('image', 'float32', [1, CHANNELS, SIDE, SIDE]);
  const matrix = graph.input('matrix', 'float32', [SIZE, SIZE]);
  const kernel = graph.floats(pattern(CHANNELS * CHANNELS * KERNEL * KERNEL, 3), [CHANNELS, CHANNELS, KERNEL, KERNEL]);
  const factor = graph.floats(pattern(SIZE * SIZE, 3), [SIZE, SIZE]);
  graph.output(
    graph.add('Conv', [image, kernel, graph.floats(new Float32Array(CHANNELS))], {
      attributes: { kernel_shape: [KERNEL, KERNEL], strides: [1, 1], pads: [1, 1, 1, 1] },
    }),
    'convolved',
  );
  graph.output(graph.add('Gemm', [matrix, factor]), 'product');
  return writeOnnx(graph.finish(), '', '1');
}

/** Small whole numbers without a short period, so that sums are exact in float32 and a wrong layout shows. */
function pattern(length: number, range: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * 7919 + (i >> 4) * 104_729) % range) - (range >> 1));
}

/** [channels out, row, column] of a convolution with a border of zeros. */
function convolved(): Float32Array {
  const image = pattern(CHANNELS * SIDE * SIDE, 7);
  const kernel = pattern(CHANNELS * CHANNELS * KERNEL * KERNEL, 3);
  const out = new Float32Array(CHANNELS * SIDE * SIDE);
  for (let to = 0; to < CHANNELS; to++)
    for (let from = 0; from < CHANNELS; from++)
      for (let ky = 0; ky < KERNEL; ky++)
        for (let kx = 0; kx < KERNEL; kx++) {
          const weight = kernel[((to * CHANNELS + from) * KERNEL + ky) * KERNEL + kx] ?? 0;
          for (let y = Math.max(0, 1 - ky); y < Math.min(SIDE, SIDE + 1 - ky); y++)
            for (let x = Math.max(0, 1 - kx); x < Math.min(SIDE, SIDE + 1 - kx); x++) {
              const at = (to * SIDE + y) * SIDE + x;
              out[at] = (out[at] ?? 0) + weight * (image[(from * SIDE + y + ky - 1) * SIDE + x + kx - 1] ?? 0);
            }
        }
  return out;
}

function product(): Float32Array {
  const [a, b, out] = [pattern(SIZE * SIZE, 5), pattern(SIZE * SIZE, 3), new Float32Array(SIZE * SIZE)];
  for (let row = 0; row < SIZE; row++)
    for (let k = 0; k < SIZE; k++) {
      const factor = a[row * SIZE + k] ?? 0;
      for (let column = 0; column < SIZE; column++) {
        const at = row * SIZE + column;
        out[at] = (out[at] ?? 0) + factor * (b[k * SIZE + column] ?? 0);
      }
    }
  return out;
}

function errorOf(found: Float32Array | undefined, right: Float32Array): number | null {
  let [difference, largest] = [0, 0];
  if (found?.length !== right.length) return null;
  for (const [i, value] of right.entries()) {
    const seen = found[i] ?? Number.NaN;
    if (!Number.isFinite(seen)) return null;
    difference = Math.max(difference, Math.abs(seen - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
}
