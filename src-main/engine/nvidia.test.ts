import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { detectNvidia, noCardReason, runTool } from './nvidia.ts';

const smi = 'GPU-aa11, card 0, 581.29, 8.9, 1000, 900\nGPU-bb22, card 1, 581.29, 8.9, 2000, 1900\nGPU-bb33, card 2, 581.29, 9.0, 3000, 2900\n';
const namesOf = async (visible: string | undefined) => (await detectNvidia(async () => smi, visible)).map(({ name }) => name);

describe('CUDA_VISIBLE_DEVICES', () => {
  test.each<[string | undefined, string[]]>([
    [undefined, ['card 0', 'card 1', 'card 2']],
    ['', []],
    ['-1', []],
    ['1', ['card 1']],
    ['2,0', ['card 2', 'card 0']],
    [' 1 , 0\r', ['card 1', 'card 0']],
    ['GPU-bb22', ['card 1']],
    ['GPU-a', ['card 0']],
    ['GPU-bb', []],
    ['0,7,1', ['card 0']],
    ['NoDevFiles', []],
  ])('%j shows %j, in its order', async (visible, names) => {
    expect(await namesOf(visible)).toEqual(names);
  });

  test('a slice of a card has a name and no known memory', async () => {
    const slices = await detectNvidia(async () => smi, 'MIG-GPU-bb33/1/0');
    expect(slices).toEqual([{ name: 'card 2', driver: '581.29', compute_capability: '9.0', total_bytes: null, free_bytes: null }]);
  });

  test('is named where it hides every card', () => {
    expect(noCardReason('')).toContain('CUDA_VISIBLE_DEVICES=""');
    expect(noCardReason(undefined)).not.toContain('CUDA_VISIBLE_DEVICES');
  });
});

test("the driver's tool is found in WSL2 as well", async () => {
  const asked: string[] = [];
  const run = async (file: string) => {
    asked.push(file);
    if (file === 'nvidia-smi') throw Object.assign(new Error('spawn nvidia-smi ENOENT'), { code: 'ENOENT' });
    return smi;
  };
  expect(await detectNvidia(run, undefined)).toHaveLength(3);
  expect(asked).toEqual(['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi']);
});

describe.skipIf(process.platform === 'win32')('the tool', () => {
  function script(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'smi-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'nvidia-smi');
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  }

  test('is killed after its time, though it ignores SIGTERM', async () => {
    await expect(runTool(script("trap '' TERM; while :; do sleep 1; done"), [], 300)).rejects.toThrow('did not answer within 0.3 s');
  });

  test('is read to its end, and its failure is one', async () => {
    expect(await runTool(script('printf "%s" "$1"'), ['a b'])).toBe('a b');
    await expect(runTool(script('exit 9'), [])).rejects.toThrow('exit code 9');
    await expect(runTool('/nowhere/nvidia-smi', [])).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
