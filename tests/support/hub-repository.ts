import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import type { Repository } from './hub-server.ts';

export const REPOSITORY = 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32';
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

export type ServedRepository = Repository & { files: Map<string, Buffer> };

/** The bundled uint4 checkpoint as a repository of the hub, under the name of the real one. */
export function bundledRepository(): ServedRepository {
  const dir = join(resourcesDir, 'models/storybook-uint4');
  const files = new Map<string, Buffer>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(dir.length + 1).replaceAll('\\', '/'), readFileSync(path));
  }
  files.set('README.md', Buffer.from('---\nlicense: apache-2.0\n---\n'));
  return { name: REPOSITORY, commit: COMMIT, files };
}

/** The same with random weights: `transformerBytes` for the transformer, a little for the rest. */
export function noiseRepository(transformerBytes: number): ServedRepository {
  const repository = bundledRepository();
  for (const path of repository.files.keys()) {
    if (path.endsWith('.safetensors')) repository.files.set(path, randomBytes(path.startsWith('transformer/') ? transformerBytes : 150_000));
  }
  return repository;
}
