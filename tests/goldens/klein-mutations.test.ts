import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programDir } from '#main/lib/program-files.ts';
import { sharedPath } from '../support/shared-folder.ts';

const here = existsSync(sharedPath('goldens/klein'));
const pipelines = 'src-main/inference/pipelines';

/** Mistakes of one line that other programs have made, and that break nothing but the image. */
const mistakes: [string, string, string, string][] = [
  [
    'padding is hidden from the denoiser',
    `${pipelines}/klein-models.ts`,
    'return embedding as Float32Array;',
    'return (embedding as Float32Array).fill(0, ((embedding as Float32Array).length / MAX_PROMPT_TOKENS) * ids.length);',
  ],
  ['references one step of time apart', 'src-main/inference/klein-positions.ts', 'const TIME_STEP = 10;', 'const TIME_STEP = 1;'],
  [
    'references count in the shift',
    `${pipelines}/klein.ts`,
    'const sigmas = kleinSigmas(steps, imageTokens);',
    'const sigmas = kleinSigmas(steps, imageTokens * (1 + (inputs.references ?? []).length));',
  ],
  [
    'the shift of the last norm comes first',
    'src-main/compiler/models/flux-transformer.ts',
    "x, 'float32'), { scale: endScale, shift: endShift }",
    "x, 'float32'), { scale: add(graph, endShift, graph.scalar(1)), shift: add(graph, endScale, graph.scalar(-1)) }",
  ],
  [
    'the gate is the second half',
    'src-main/compiler/models/flux-block.ts',
    'const gate = silu(graph, slice(graph, x, 1, 0, innerWidth, innerWidth));',
    'const gate = slice(graph, x, 1, 0, innerWidth, innerWidth); x = silu(graph, x);',
  ],
  [
    "patches in Z-Image's order",
    `${pipelines}/klein-latents.ts`,
    'for (let x = 0; x < patch; x++) visit(token++, start + x);',
    'for (let x = 0; x < patch; x++) { visit(((row * columns + column) * patch * patch + y * patch + x) * channels + channel, start + x); token++; }',
  ],
  [
    'references are moved by the sampler',
    `${pipelines}/klein-models.ts`,
    'sequence.set(reference.tokens, end);',
    'sequence.set(reference.tokens.map((value, i) => value - 0.1 * step * (latents[i % latents.length] ?? 0)), end);',
  ],
  [
    'the second reference comes first',
    `${pipelines}/klein-models.ts`,
    'for (const reference of references) {',
    'for (const reference of [...references].reverse()) {',
  ],
];

/** Exit code of parity over a copy of the program in which one line is another. */
async function parityWith(file: string, line: string, mistake: string): Promise<number | null> {
  const copy = await mkdtemp(join(tmpdir(), 'klein-mistake-'));
  try {
    for (const part of ['src-main', 'src-shared', 'clients/js', 'package.json']) await cp(join(programDir, part), join(copy, part), { recursive: true });
    await symlink(join(programDir, 'node_modules'), join(copy, 'node_modules'));
    const source = await readFile(join(copy, file), 'utf8');
    expect(source.split(line), `${file} has the line once`).toHaveLength(2);
    await writeFile(
      join(copy, file),
      source.replace(line, () => mistake),
    );
    const checkpoint = sharedPath('goldens/klein/klein-int8-hadamard');
    const args = ['parity', '--checkpoint', checkpoint, '--expected', `${checkpoint}.expected.safetensors`];
    const child = fork(join(copy, 'src-main/cli/main.ts'), args, { execArgv: [], stdio: 'pipe' });
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    const [code] = await once(child, 'exit');
    // it ran to the end: the numbers are wrong, not the program
    expect(text).toContain('parity: ');
    return code;
  } finally {
    await rm(copy, { recursive: true });
  }
}

test.skipIf(!here).each(mistakes)('%s: a golden finds it', async (_, file, line, mistake) => {
  expect(await parityWith(file, line, mistake)).toBe(1);
});
