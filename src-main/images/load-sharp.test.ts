import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** In a process of its own: a process loads one build of sharp. */
async function loaded(useWasm: boolean): Promise<unknown> {
  const script = `
    const { loadSharp } = await import('#main/images/load-sharp.ts');
    const sharp = loadSharp(${useWasm});
    const grey = await sharp(Buffer.alloc(192, 119), { raw: { width: 8, height: 8, channels: 3 } }).avif().toBuffer();
    const codes = [];
    for (const bytes of [grey, Buffer.from('P3\\n1 1\\n255\\n1 2 3\\n'), Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')])
      codes.push(await sharp(bytes).metadata().then(({ format }) => format, () => 'refused'));
    console.log(JSON.stringify({ isWasm: 'emscripten' in sharp.versions, codes }));
    process.exit();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  return JSON.parse(stdout);
}

test('both builds read the same formats and refuse the same', async () => {
  expect(await loaded(false)).toEqual({ isWasm: false, codes: ['heif', 'refused', 'refused'] });
  expect(await loaded(true)).toEqual({ isWasm: true, codes: ['heif', 'refused', 'refused'] });
});
