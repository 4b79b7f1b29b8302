import { availableParallelism } from 'node:os';
import { compileCheckpoint } from '#main/compiler/compile.ts';
import { createSession } from '#main/inference/ort.ts';

/**
 * One step of `npm run bench -- fullsize` in a process of its own, so that its memory is its own: compiles a checkpoint, or loads one of its graphs.
 * Tells milliseconds and, of a compilation, the bytes that were written.
 */
async function main(): Promise<void> {
  const [step, checkpointDir = '', cacheDir = '', identity = ''] = process.argv.slice(2);
  const startedAt = performance.now();
  const compiled = await compileCheckpoint({ cacheDir, identity, target: 'cpu-fast', checkpointDir }, () => {});
  if (step === 'compile') {
    const { graphs } = compiled.report;
    const writtenBytes = graphs.reduce((sum, graph) => sum + graph.onnxBytes + graph.unpacked.reduce((all, { bytes }) => all + bytes, 0), 0);
    return tell({ milliseconds: performance.now() - startedAt, writtenBytes });
  }
  const graph = { textEncoder: compiled.textEncoder, captionRefiner: compiled.captionRefiner, denoiser: compiled.denoiser, vaeDecoder: compiled.vaeDecoder };
  const loadedAt = performance.now();
  if (step === undefined || !(step in graph)) throw new Error(`The step is compile or one of ${Object.keys(graph).join(', ')}; met ${step}.`);
  await createSession(graph[step as keyof typeof graph], { threads: availableParallelism() });
  tell({ milliseconds: performance.now() - loadedAt, writtenBytes: 0 });
}

function tell(result: { milliseconds: number; writtenBytes: number }): void {
  process.send?.(result);
}

await main();
process.disconnect?.();
