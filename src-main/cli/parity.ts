import { mkdtemp, rm, stat } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { pathOption, readCommandOptions } from '#main/config/command-options.ts';
import { compareCheckpoint } from '#main/parity/compare-checkpoint.ts';
import { compareUpscaler } from '#main/parity/compare-upscaler.ts';
import type { ParityTarget } from '#main/parity/compare-work.ts';
import { type Comparison, printComparisons } from '#main/parity/comparison.ts';

export const usage = `Usage: npm run parity -- --checkpoint DIR --expected FILE [--accuracy exact|fast] [--precision bf16|fp16] [--int8-rows]
                         [--lora FILE[:WEIGHT]]... [--controlnet FILE]

Compares what this program computes with what diffusers gave for the same checkpoint, tensor by tensor.
DIR may also be an upscaler's safetensors file.

With --precision it is what a GPU computes in that type: the GPU's graphs on the CPU, each value rounded as there.
With --int8-rows an unquantized checkpoint is quantized to int8 first, as for a device with too little memory.
With --lora the goldens of this file are compared, of one weight or of all. Several files together are compared where the goldens have them together.
With --controlnet it is the goldens of this file.`;

const loraOption = z.string().transform((text) => {
  const [, path = '', weight] = /^(.+?)(?::(-?[\d.]+))?$/.exec(text) ?? [];
  return { path: pathOption.parse(path), weight: weight === undefined ? null : Number(weight) };
});

export const optionsSchema = z.object({
  checkpoint: pathOption,
  expected: pathOption,
  accuracy: z.enum(['exact', 'fast']).default('exact'),
  precision: z.enum(['bf16', 'fp16']).optional(),
  'int8-rows': z.boolean().default(false),
  lora: z.array(loraOption).optional(),
  controlnet: pathOption.optional(),
});

export async function parity(argv: readonly string[]): Promise<void> {
  const {
    checkpoint,
    expected,
    accuracy,
    precision,
    'int8-rows': int8Rows,
    lora: loras,
    controlnet: controlNet,
  } = readCommandOptions(optionsSchema, usage, argv);
  const target: ParityTarget = precision === undefined ? `cpu-${accuracy}` : `emulated-${precision}`;
  const cacheDir = await mkdtemp(join(tmpdir(), 'parity-'));
  try {
    const isFile = (await stat(checkpoint)).isFile();
    const compare = isFile ? compareUpscaler : compareCheckpoint;
    const request = {
      path: checkpoint,
      expectedPath: expected,
      target,
      cacheDir,
      threads: availableParallelism(),
      int8Rows,
      ...(loras && { loras }),
      ...(controlNet && { controlNet }),
    };
    const comparisons: Comparison[] = [];
    for await (const comparison of compare(request)) comparisons.push(comparison);
    if (!printComparisons(comparisons)) process.exitCode = 1;
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}
