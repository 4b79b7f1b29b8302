import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { programDir, resourcesDir } from './program-files.ts';

/** Runs `check`, an expression, in a process without free file descriptors, and returns its errors' codes. */
async function codesWithoutDescriptors(checks: Record<string, string>): Promise<unknown> {
  const dir = mkdtempSync(join(tmpdir(), 'descriptors-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const script = `
    import { openSync } from 'node:fs';
    const { readJsonFile } = await import(${JSON.stringify(join(programDir, 'src-main/lib/read-json-file.ts'))});
    const { openFileHashes } = await import(${JSON.stringify(join(programDir, 'src-main/models/file-hashes.ts'))});
    const { describeCheckpoint } = await import(${JSON.stringify(join(programDir, 'src-main/models/describe-checkpoint.ts'))});
    const { openModelRegistry } = await import(${JSON.stringify(join(programDir, 'src-main/models/registry.ts'))});
    const { listPacks } = await import(${JSON.stringify(join(programDir, 'src-main/cuda-pack/pack-folder.ts'))});
    const dir = ${JSON.stringify(dir)};
    const resources = ${JSON.stringify(resourcesDir)};
    const bundled = resources + '/models/storybook-uint4';
    const log = { warn() {} };
    const hashes = openFileHashes(dir + '/hashes.json', log);
    const { registry } = openModelRegistry({ resourcesDir: resources, dataDir: dir, checkpointDirs: [], cacheDir: dir, log });
    const checks = { ${Object.entries(checks)
      .map(([name, check]) => `${name}: async () => ${check}`)
      .join(', ')} };
    try { for (;;) openSync('/dev/null', 'r'); } catch {}
    const codes = {};
    for (const [name, check] of Object.entries(checks)) codes[name] = await check().then(() => 'none', (error) => error.code);
    process.stdout.write(JSON.stringify(codes));
  `;
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 64 && exec "$0" --input-type=module --no-warnings -e "$1"', process.execPath, script], {
    cwd: programDir,
  });
  return JSON.parse(stdout);
}

test.skipIf(process.platform === 'win32')('a process without free file descriptors never reports a missing or damaged model', async () => {
  const codes = await codesWithoutDescriptors({
    json: 'readJsonFile(bundled + "/model_index.json")',
    hash: 'hashes.hashOf(bundled + "/model_index.json")',
    folder: 'describeCheckpoint(bundled, hashes)',
    checkpoint: 'registry.checkpointFor("uint4")',
    list: 'registry.list()',
    upscaler: 'registry.upscaler()',
    packs: 'listPacks(resources)',
  });
  expect(new Set(Object.values(codes as object))).toEqual(new Set(['too_many_open_files']));
});
