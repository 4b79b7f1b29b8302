import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { safetensorsBytes } from '../../../tests/support/safetensors-bytes.ts';
import { needsSharedFolder, sharedPath } from '../../../tests/support/shared-folder.ts';
import { openSafetensors } from './open-safetensors.ts';
import { readFloats } from './read-tensor.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(dir, { recursive: true }));

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(dir, 'model.safetensors');
  await writeFile(path, bytes);
  return path;
}

async function errorOf(promise: Promise<unknown>): Promise<AppError> {
  const thrown = await promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
  if (!(thrown instanceof AppError)) throw new Error(`no AppError: ${String(thrown)}`);
  return thrown;
}

const f32 = (...shape: number[]) => ({ dtype: 'F32', shape, data_offsets: [0, 4 * shape.reduce((a, b) => a * b, 1)] });

test('names, types, shapes, places and metadata come back as they were written', async () => {
  const header = {
    __metadata__: { format: 'pt' },
    late: { dtype: 'BF16', shape: [3], data_offsets: [8, 14] },
    scalar: { dtype: 'F32', shape: [], data_offsets: [4, 8] },
    'a.empty': { dtype: 'I64', shape: [4, 0], data_offsets: [4, 4] },
    first: { dtype: 'U8', shape: [2, 2], data_offsets: [0, 4] },
  };
  const bytes = safetensorsBytes(`${JSON.stringify(header)}     `, 14);
  const path = await fileOf(bytes);
  const opened = await openSafetensors(path);
  const dataOffset = bytes.length - 14;
  expect(opened.sizeBytes).toBe(bytes.length);
  expect([...opened.metadata]).toEqual([['format', 'pt']]);
  expect([...opened.tensors.values()]).toEqual([
    { name: 'first', dtype: 'U8', shape: [2, 2], file: opened.file, offset: dataOffset, byteLength: 4 },
    { name: 'a.empty', dtype: 'I64', shape: [4, 0], file: opened.file, offset: dataOffset + 4, byteLength: 0 },
    { name: 'scalar', dtype: 'F32', shape: [], file: opened.file, offset: dataOffset + 4, byteLength: 4 },
    { name: 'late', dtype: 'BF16', shape: [3], file: opened.file, offset: dataOffset + 8, byteLength: 6 },
  ]);
});

test('every type of the format is known, with its size in bits', async () => {
  const bits = { BOOL: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, I16: 16, U16: 16, F16: 16, BF16: 16 };
  const wide = { I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 };
  for (const [dtype, size] of Object.entries({ ...bits, ...wide })) {
    const path = await fileOf(safetensorsBytes({ x: { dtype, shape: [2, 4], data_offsets: [0, size] } }, size));
    expect((await openSafetensors(path)).tensors.get('x')?.byteLength).toBe(size);
  }
});

test('F32, F16 and BF16 are read as float32', async () => {
  const data = new Uint8Array(12);
  const view = new DataView(data.buffer);
  view.setFloat32(0, -1.5, true);
  view.setFloat32(4, 3e-39, true);
  view.setUint16(8, 0x3c01, true); // 1 + 2^-10 in binary16
  view.setUint16(10, 0xc049, true); // -3.140625 in bfloat16
  const header = {
    single: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    half: { dtype: 'F16', shape: [1], data_offsets: [8, 10] },
    brain: { dtype: 'BF16', shape: [1], data_offsets: [10, 12] },
  };
  const { tensors } = await openSafetensors(await fileOf(safetensorsBytes(header, data)));
  const values: number[][] = [];
  for (const tensor of tensors.values()) values.push([...(await readFloats(tensor))]);
  expect(values).toEqual([[-1.5, Math.fround(3e-39)], [1 + 2 ** -10], [-3.140625]]);
});

test('integers are not read as floats, and a file cut after it was opened is noticed', async () => {
  const header = { i: { dtype: 'I32', shape: [1], data_offsets: [0, 4] }, f: { dtype: 'F32', shape: [4], data_offsets: [4, 20] } };
  const bytes = safetensorsBytes(header, 20);
  const path = await fileOf(bytes);
  const { tensors } = await openSafetensors(path);
  const [integer, float] = [...tensors.values()];
  if (integer === undefined || float === undefined) throw new Error('two tensors were written');
  const refused = await errorOf(readFloats(integer));
  expect(refused.code).toBe('checkpoint_unsupported');
  expect(refused.message).toContain('"i" is I32; F32, F16 or BF16');

  await writeFile(path, bytes.subarray(0, bytes.length - 3));
  const cut = await errorOf(readFloats(float));
  expect(cut.code).toBe('checkpoint_damaged');
  expect(cut.message).toContain('"f" has 13 of its 16 bytes');

  await rm(path);
  expect((await errorOf(readFloats(float))).code).toBe('checkpoint_missing');
});

const twoAt = (a: [number, number], b: [number, number]) => ({
  a: { dtype: 'U8', shape: [a[1] - a[0]], data_offsets: a },
  b: { dtype: 'U8', shape: [b[1] - b[0]], data_offsets: b },
});
const withLength = (length: bigint, rest = 40) => {
  const bytes = new Uint8Array(8 + rest).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
};
const withBytes = (json: (number | string)[], data = 0) => {
  const latin = json.map((part) => (typeof part === 'number' ? String.fromCharCode(part) : part)).join('');
  const header = Uint8Array.from(latin, (char) => char.charCodeAt(0));
  const bytes = new Uint8Array(8 + header.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  return bytes;
};

/** What is wrong, the file, what the sentence must say. */
const damagedFiles: [string, Uint8Array, string][] = [
  ['an empty file', new Uint8Array(0), 'has 0 bytes'],
  ['seven bytes', new Uint8Array(7), 'has 7 bytes'],
  ['a length of 0', withLength(0n), 'announce a header of 0 bytes'],
  ['a length of 1', withLength(1n), 'announce a header of 1 bytes'],
  ['a length one past the end', withLength(41n), '2 to 40 are possible'],
  ['a length of 2^63', withLength(2n ** 63n), 'announce a header of 9223372036854775808 bytes'],
  ['a length of 2^64 - 1', withLength(2n ** 64n - 1n), 'announce a header of 18446744073709551615 bytes'],
  ['a Git LFS pointer', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n'), 'Git LFS'],
  ['an HTML page', new TextEncoder().encode('<!doctype html><html><body>Not found</body></html>'), 'announce a header of'],
  ['a zip archive, as torch saves it', Uint8Array.from([0x50, 0x4b, 3, 4, ...new Array(60).fill(0)]), 'announce a header of'],
  ['a header that starts with a blank', safetensorsBytes(' {}'), 'starts with byte 32'],
  ['a header that starts with a byte order mark', withBytes([0xef, 0xbb, 0xbf, '{}']), 'starts with byte 239'],
  ['a list', safetensorsBytes('[]'), 'starts with byte 91'],
  ['null', safetensorsBytes('null'), 'starts with byte 110'],
  ['cut JSON', safetensorsBytes('{"x":'), 'no JSON object'],
  ['two JSON values', safetensorsBytes('{}{}'), 'no JSON object'],
  ['zeros after the JSON', withBytes(['{}', 0, 0]), 'no JSON object'],
  ['a trailing comma', safetensorsBytes('{"x":{"dtype":"U8","shape":[],"data_offsets":[0,1]},}', 1), 'no JSON object'],
  ['bad UTF-8', withBytes(['{"', 0xff, '":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}'], 1), 'no JSON object in UTF-8'],
  ['overlong UTF-8', withBytes(['{"', 0xc0, 0xae, '":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}'], 1), 'no JSON object in UTF-8'],
  ['100,000 nested lists', safetensorsBytes(`{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), 'a list of 1 that holds lists'],
  ['a tensor twice', safetensorsBytes(`{"x":${JSON.stringify(f32(1))},"x":${JSON.stringify(f32(1))}}`, 4), '"x" appears twice'],
  ['a tensor twice, once escaped', safetensorsBytes(`{"x":${JSON.stringify(f32(1))},"\\u0078":${JSON.stringify(f32(1))}}`, 4), '"x" appears twice'],
  ['a field twice', safetensorsBytes('{"x":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}}', 1), '"dtype" appears twice'],
  ['metadata twice', safetensorsBytes('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" appears twice'],
  ['metadata that is a string', safetensorsBytes({ __metadata__: 'pt' }), '"__metadata__" is "pt"'],
  ['metadata that is null', safetensorsBytes({ __metadata__: null }), '"__metadata__" is null'],
  ['metadata that is a list', safetensorsBytes({ __metadata__: ['pt'] }), '"__metadata__" is ["pt"]'],
  ['a number in metadata', safetensorsBytes({ __metadata__: { n: 1 } }), '"__metadata__" has 1 under "n"'],
  ['an object in metadata', safetensorsBytes({ __metadata__: { o: {} } }), '"__metadata__" has an object'],
  ['a tensor without a name', safetensorsBytes({ '': f32(1) }, 4), 'has a name that is empty'],
  ['a line break in a name', safetensorsBytes({ 'a\nb': f32(1) }, 4), 'control characters'],
  ['NUL in a name', safetensorsBytes({ 'a\0': f32(1) }, 4), 'control characters'],
  ['a lone surrogate in a name', safetensorsBytes('{"\\ud800":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}', 1), '"\\ud800"'],
  ['a name of 513 characters', safetensorsBytes({ ['n'.repeat(513)]: f32(1) }, 4), 'longer than 512'],
  ['a tensor that is null', safetensorsBytes({ x: null }), 'tensor "x" is null'],
  ['a tensor that is a number', safetensorsBytes({ x: 7 }), 'tensor "x" is 7'],
  ['a tensor that is a list', safetensorsBytes({ x: [1] }), 'tensor "x" is [1]'],
  ['a tensor under __proto__ without fields', safetensorsBytes('{"__proto__":{}}'), '"__proto__" has dtype nothing'],
  ['no dtype', safetensorsBytes({ x: { shape: [], data_offsets: [0, 4] } }, 4), 'has dtype nothing'],
  ['a number as dtype', safetensorsBytes({ x: { ...f32(1), dtype: 4 } }, 4), 'has dtype 4'],
  ['no shape', safetensorsBytes({ x: { dtype: 'F32', data_offsets: [0, 4] } }, 4), 'has shape nothing'],
  ['no data_offsets', safetensorsBytes({ x: { dtype: 'F32', shape: [1] } }, 4), 'has data_offsets nothing'],
  ['a foreign field', safetensorsBytes({ x: { ...f32(1), strides: [1] } }, 4), 'has the field "strides"'],
  ['a shape that is a number', safetensorsBytes({ x: { ...f32(1), shape: 1 } }, 4), 'has shape 1 where'],
  ['a shape that is an object', safetensorsBytes({ x: { ...f32(1), shape: { 0: 1 } } }, 4), 'has shape an object'],
  ['a negative side', safetensorsBytes({ x: { ...f32(1), shape: [-1] } }, 4), 'has shape [-1]'],
  ['two negative sides', safetensorsBytes({ x: { ...f32(1), shape: [-1, -1] } }, 4), 'has shape [-1,-1]'],
  ['half a side', safetensorsBytes({ x: { ...f32(1), shape: [0.5] } }, 4), 'has shape [0.5]'],
  ['a side as a string', safetensorsBytes({ x: { ...f32(1), shape: ['1'] } }, 4), 'has shape ["1"]'],
  ['null as a side', safetensorsBytes({ x: { ...f32(1), shape: [null] } }, 4), 'has shape [null]'],
  ['true as a side', safetensorsBytes({ x: { ...f32(1), shape: [true] } }, 4), 'has shape [true]'],
  ['an infinite side', safetensorsBytes('{"x":{"dtype":"F32","shape":[1e400],"data_offsets":[0,4]}}', 4), 'has shape [null]'],
  ['a side above 2^53', safetensorsBytes('{"x":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,4]}}', 4), 'has shape [9007199254740992]'],
  ['sides whose product overflows', safetensorsBytes({ x: { ...f32(1), shape: [2 ** 32, 2 ** 32] } }, 4), 'no whole number of bytes, or more than'],
  ['sides whose product wraps to 4 in 64 bits', safetensorsBytes({ x: { ...f32(1), shape: [2 ** 31, 2 ** 31, 4, 1] } }, 4), 'or more than'],
  ['an overflow hidden by a 0', safetensorsBytes({ x: { dtype: 'U8', shape: [2 ** 50, 2 ** 50, 0], data_offsets: [0, 0] } }), 'or more than'],
  ['half a byte', safetensorsBytes({ x: { dtype: 'F4', shape: [3], data_offsets: [0, 1] } }, 1), 'no whole number of bytes'],
  ['one offset', safetensorsBytes({ x: { ...f32(1), data_offsets: [0] } }, 4), 'has data_offsets [0]'],
  ['three offsets', safetensorsBytes({ x: { ...f32(1), data_offsets: [0, 4, 4] } }, 4), 'has data_offsets [0,4,4]'],
  ['negative offsets', safetensorsBytes({ x: { ...f32(1), data_offsets: [-4, 0] } }, 4), 'has data_offsets [-4,0]'],
  ['offsets as strings', safetensorsBytes({ x: { ...f32(1), data_offsets: ['0', '4'] } }, 4), 'has data_offsets ["0","4"]'],
  ['broken offsets', safetensorsBytes({ x: { ...f32(1), data_offsets: [0, 4.5] } }, 4), 'has data_offsets [0,4.5]'],
  ['offsets that are an object', safetensorsBytes({ x: { ...f32(1), data_offsets: { begin: 0, end: 4 } } }, 4), 'has data_offsets an object'],
  ['offsets back to front', safetensorsBytes({ x: { dtype: 'U8', shape: [0], data_offsets: [4, 0] } }, 4), 'takes 0 bytes'],
  ['fewer bytes than the shape takes', safetensorsBytes({ x: { ...f32(2), data_offsets: [0, 4] } }, 4), '[2] of F32 takes 8 bytes'],
  ['more bytes than the shape takes', safetensorsBytes({ x: { ...f32(1), data_offsets: [0, 8] } }, 8), '[1] of F32 takes 4 bytes'],
  ['bytes of another type', safetensorsBytes({ x: { dtype: 'BF16', shape: [1], data_offsets: [0, 4] } }, 4), '[1] of BF16 takes 2 bytes'],
  ['a tensor past the end', safetensorsBytes({ x: f32(2) }, 7), 'ends at byte 8 of the data section, which has 7'],
  ['a tensor far past the end', safetensorsBytes({ x: { dtype: 'U8', shape: [2 ** 40], data_offsets: [0, 2 ** 40] } }, 8), 'the download may be incomplete'],
  ['a hole at the start', safetensorsBytes({ x: { ...f32(1), data_offsets: [4, 8] } }, 8), 'leaves a hole before it; it must start at 0'],
  ['a hole in the middle', safetensorsBytes(twoAt([0, 3], [4, 8]), 8), 'tensor "b" starts at data byte 4 and leaves a hole'],
  ['an overlap', safetensorsBytes(twoAt([0, 5], [4, 8]), 8), 'tensor "b" starts at data byte 4 and overlaps'],
  ['two tensors in one place', safetensorsBytes(twoAt([0, 4], [0, 4]), 4), 'overlaps'],
  ['a tensor within another', safetensorsBytes(twoAt([0, 8], [2, 4]), 8), 'overlaps'],
  ['bytes that belong to no tensor', safetensorsBytes({ x: f32(1) }, 5), 'has 5 bytes, but its tensors cover 4'],
  ['bytes and no tensors', safetensorsBytes({}, 1), 'has 1 bytes, but its tensors cover 0'],
];

test.each(damagedFiles)('%s is refused as damaged', async (_what, bytes, reason) => {
  const path = await fileOf(bytes);
  const error = await errorOf(openSafetensors(path));
  expect(error.code).toBe('checkpoint_damaged');
  expect(error.data).toEqual({ path });
  expect(error.message).toContain(path);
  expect(error.message).toContain(reason);
});

test.each(['F128', 'f32', 'float32', 'U4', '', 'toString', '__proto__'])('the unknown type "%s" is refused by name', async (dtype) => {
  const error = await errorOf(openSafetensors(await fileOf(safetensorsBytes({ x: { ...f32(1), dtype } }, 4))));
  expect(error.code).toBe('checkpoint_unsupported');
  expect(error.message).toContain(`tensor "x" has dtype ${JSON.stringify(dtype)}; the format knows BOOL, F4`);
});

test('a header above the limit of 100 MB is refused before it is read', async () => {
  const path = join(dir, 'huge.safetensors');
  await writeFile(path, withLength(100_000_001n, 0));
  await truncate(path, 200_000_000); // sparse
  expect((await errorOf(openSafetensors(path))).message).toContain('2 to 100000000 are possible');
});

test('a missing file and a folder are refused, a symbolic link is followed to the real file', async () => {
  expect((await errorOf(openSafetensors(join(dir, 'nowhere')))).code).toBe('checkpoint_missing');
  await mkdir(join(dir, 'folder.safetensors'));
  expect((await errorOf(openSafetensors(join(dir, 'folder.safetensors')))).code).toBe('checkpoint_damaged');
  await symlink(join(dir, 'no-target'), join(dir, 'dangling'));
  expect((await errorOf(openSafetensors(join(dir, 'dangling')))).code).toBe('checkpoint_missing');

  const real = await fileOf(safetensorsBytes({ x: f32(1) }, 4));
  await symlink(real, join(dir, 'link'));
  expect((await openSafetensors(join(dir, 'link'))).tensors.get('x')?.file).toBe((await openSafetensors(real)).file);
});

const sample = safetensorsBytes(
  { __metadata__: { f: 'é' }, a: { dtype: 'F16', shape: [2, 3], data_offsets: [0, 12] }, b: { dtype: 'U8', shape: [4], data_offsets: [12, 16] } },
  16,
);

test('a file cut at any byte is refused', async () => {
  for (let length = 0; length < sample.length; length++) {
    expect((await errorOf(openSafetensors(await fileOf(sample.subarray(0, length))))).code).toBe('checkpoint_damaged');
  }
});

test('any single byte of the header changed to any of 10 values: refused with a sentence, or a header that still keeps every rule', async () => {
  const headerEnd = sample.length - 16;
  let refused = 0;
  for (let at = 0; at < headerEnd; at++) {
    const masks = [1, 2, 4, 8, 16, 32, 64, 128, 255, (sample[at] as number) ^ 0x22];
    for (const mask of masks.filter((mask) => mask !== 0)) {
      const bytes = Uint8Array.from(sample);
      bytes[at] = (bytes[at] as number) ^ mask;
      const outcome = await openSafetensors(await fileOf(bytes)).catch((error: unknown) => error);
      if (outcome instanceof AppError) {
        expect(outcome.code).toMatch(/^checkpoint_(damaged|unsupported)$/);
        refused++;
      } else {
        const { tensors, sizeBytes } = outcome as Awaited<ReturnType<typeof openSafetensors>>;
        expect([...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(16);
        expect(sizeBytes).toBe(sample.length);
      }
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

test('every safetensors file that lies beside the repository is read, and its tensors add up to the file', async (context) => {
  needsSharedFolder(context);
  const files = (await readdir(sharedPath(), { recursive: true })).filter((name) => name.endsWith('.safetensors'));
  expect(files.length).toBeGreaterThan(40);
  for (const name of files) {
    const { tensors, sizeBytes } = await openSafetensors(sharedPath(name));
    const headerBytes = (await readFile(sharedPath(name))).readUInt32LE(0);
    expect([...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 8 + headerBytes)).toBe(sizeBytes);
  }
});
