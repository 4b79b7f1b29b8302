import { availableParallelism } from 'node:os';

/**
 * One step of `npm run bench -- fullsize` in a separate process, so that its memory is measured alone: `compile CHECKPOINT CACHE IDENTITY`, or `load ONNX WEIGHTS`
 * with a graph and the folder of its weights. Prints milliseconds and, for a compilation, the written bytes and the graphs. Each step imports
 * only what it needs.
 */
async function main(): Promise<void> {
  const [step, ...args] = process.argv.slice(2);
  if (step !== 'compile' && step !== 'load') throw new Error(`The step is compile or load, not ${step}.`);
  process.send?.(await (step === 'compile' ? compile(args) : load(args)));
}

async function compile([checkpointDir = '', cacheDir = '', identity = '']: string[]) {
  const { compileCheckpoint } = await import('#main/compiler/compile.ts');
  const startedAt = performance.now();
  const compiled = await compileCheckpoint({ cacheDir, identity, target: 'cpu-fast', checkpointDir }, () => {});
  const milliseconds = performance.now() - startedAt;
  const { report, parts } = compiled;
  const graphs = Object.fromEntries(Object.entries(parts).flatMap(([name, part]) => (part === null ? [] : [[name, part.graph]])));
  const writtenBytes = report.graphs.reduce((sum, graph) => sum + graph.onnxBytes + graph.unpacked.reduce((all, { bytes }) => all + bytes, 0), 0);
  return { milliseconds, writtenBytes, graphs };
}

async function load([onnxPath = '', weightsDir = '']: string[]) {
  const { createSession } = await import('#main/inference/ort.ts');
  const startedAt = performance.now();
  await createSession({ onnxPath, weightsDir }, { threads: availableParallelism() });
  return { milliseconds: performance.now() - startedAt };
}

await main();
process.disconnect?.();
