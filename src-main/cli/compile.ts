import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import type { CompileReport } from '#main/compiler/compile-job.ts';
import { pathOption, readCommandOptions } from '#main/config/command-options.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';

export const usage = `Usage: npm run compile -- --checkpoint DIR [--accuracy exact|fast] [--out DIR]

Compiles a checkpoint in Hugging Face layout to ONNX graphs and prints which files were read, which weights are
used in place, and which had to be unpacked and why. DIR may also be an upscaler's safetensors file. Without
--out the graphs are deleted afterwards.`;

export const optionsSchema = z.object({
  checkpoint: pathOption,
  accuracy: z.enum(['exact', 'fast']).default('fast'),
  out: pathOption.optional(),
});

export async function compile(argv: readonly string[]): Promise<void> {
  const { checkpoint, accuracy, out } = readCommandOptions(optionsSchema, usage, argv);
  const cacheDir = out ?? (await mkdtemp(join(tmpdir(), 'compile-')));
  try {
    const options = { cacheDir, identity: checkpoint, target: accuracy === 'fast' ? ('cpu-fast' as const) : ('cpu-exact' as const) };
    const onProgress = (done: number, total: number): void => console.error(`graph ${done} of ${total}`);
    const isFile = await stat(checkpoint).then(
      (stats) => stats.isFile(),
      () => false,
    );
    const compiled = isFile
      ? await compileUpscaler({ ...options, path: checkpoint }, onProgress)
      : await compileCheckpoint({ ...options, checkpointDir: checkpoint }, onProgress);
    printReport(compiled.report);
    if (out !== undefined) console.log(`\nwritten to ${out}`);
  } finally {
    if (out === undefined) await rm(cacheDir, { recursive: true, force: true });
  }
}

function printReport({ files, graphs, milliseconds }: CompileReport): void {
  console.log('read');
  for (const { path, bytes, tensors } of files) console.log(`  ${path}: ${formatBytes(bytes)}, ${tensors} tensors`);
  for (const { name, nodes, onnxBytes, inPlaceBytes, unpacked } of graphs) {
    const written = unpacked.reduce((sum, { bytes }) => sum + bytes, 0);
    console.log(`\n${name}: ${nodes} nodes in ${formatBytes(onnxBytes)}, ${formatBytes(inPlaceBytes)} of weights in place, ${formatBytes(written)} unpacked`);
    for (const reason of new Set(unpacked.map((tensor) => tensor.reason))) {
      const tensors = unpacked.filter((tensor) => tensor.reason === reason);
      console.log(
        `  ${tensors.length} x ${reason} (${formatBytes(tensors.reduce((sum, { bytes }) => sum + bytes, 0))}; first: ${basename(tensors[0]?.tensor ?? '')})`,
      );
    }
  }
  console.log(`\ncompiled in ${(milliseconds / 1000).toFixed(2)} s`);
}
