import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type CompiledCheckpoint, compiledCheckpointSchema } from '#main/lib/compiled.ts';
import type { ModelCompilation } from '#shared/domain/model.ts';
import { readManifest } from './compile-cache.ts';
import { compileReportSchema } from './compile-job.ts';

const manifestSchema = z.object({ identity: z.string(), report: compileReportSchema });

/** What was made of the checkpoint with this identity, for whichever target, or null where it was not compiled yet. */
export async function findCompilation(cacheDir: string, identity: string): Promise<ModelCompilation | null> {
  const manifest = await findManifest(cacheDir, identity, manifestSchema);
  return manifest === null ? null : summary(manifest.report);
}

/** The graphs that were made of the checkpoint with this identity, for whichever target, or null where there are none. */
export async function findCompiledCheckpoint(cacheDir: string, identity: string): Promise<CompiledCheckpoint | null> {
  return findManifest(cacheDir, identity, compiledCheckpointSchema);
}

async function findManifest<S extends z.ZodType<{ identity: string }>>(cacheDir: string, identity: string, schema: S): Promise<z.infer<S> | null> {
  const folders = existsSync(cacheDir) ? await readdir(cacheDir) : [];
  for (const folder of folders.filter((name) => !name.startsWith('.'))) {
    const manifest = await readManifest(join(cacheDir, folder), schema);
    if (manifest?.identity === identity) return manifest;
  }
  return null;
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
