import { z } from 'zod';
import { type CompiledCheckpoint, compiledCheckpointSchema, type GraphTarget } from '#main/lib/compiled.ts';
import type { ModelCompilation } from '#shared/domain/model.ts';
import { findCompiled } from './compile-cache.ts';
import { compileReportSchema } from './compile-job.ts';

const reportedSchema = z.object({ identity: z.string(), report: compileReportSchema });

/** Figures of the checkpoint's compilation for `target`, or for any target if `target` is null; null if it is not compiled. */
export async function findCompilation(cacheDir: string, identity: string, target: GraphTarget | null): Promise<ModelCompilation | null> {
  const compiled = await findCompiled(cacheDir, { identity, target }, reportedSchema);
  return compiled === null ? null : summary(compiled.report);
}

/** The checkpoint's graphs for `target`, or null where it was not compiled for that yet. */
export function findCompiledCheckpoint(cacheDir: string, identity: string, target: GraphTarget): Promise<CompiledCheckpoint | null> {
  return findCompiled(cacheDir, { identity, target }, compiledCheckpointSchema);
}

function summary({ milliseconds, graphs }: z.infer<typeof compileReportSchema>): ModelCompilation {
  return {
    milliseconds,
    graphs: graphs.map(({ name, nodes, inPlaceBytes, unpacked }) => ({
      name,
      nodes,
      in_place_bytes: inPlaceBytes,
      unpacked_bytes: unpacked.reduce((sum, { bytes }) => sum + bytes, 0),
      reasons: [...new Set(unpacked.map(({ reason }) => reason))],
    })),
  };
}
