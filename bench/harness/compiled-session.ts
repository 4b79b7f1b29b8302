import { mkdir } from 'node:fs/promises';
import { CompileJob } from '#main/compiler/compile-job.ts';
import type { GraphBuilder } from '#main/compiler/graph/builder.ts';
import type { Graph } from '#main/compiler/graph/ir.ts';
import type { Weights } from '#main/compiler/ops/weights.ts';
import { createSession } from '#main/inference/ort.ts';
import type { Session } from '#main/inference/session.ts';
import type { GraphTarget } from '#main/lib/compiled.ts';

/** A single graph to measure. */
export interface GraphOrder {
  name: string;
  /** The model's folder, and the name of its weights' file without the ending. */
  dir: string;
  stem: string;
  target: GraphTarget;
  /** Made for the graph. */
  compiledDir: string;
  threads: number;
  build(builder: GraphBuilder, weights: Weights): Promise<Graph>;
}

/** One graph of a checkpoint, compiled and loaded as the engine does it. */
export async function compiledSession({ name, dir, stem, target, compiledDir, threads, build }: GraphOrder): Promise<Session> {
  await mkdir(compiledDir);
  const job = new CompileJob({ writeDir: compiledDir, finalDir: compiledDir }, target);
  return createSession(await job.graph(name, await job.openModel(dir, stem), build), { threads });
}
