import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { safetensorsOf } from '../../../tests/support/safetensors-bytes.ts';
import { openCheckpointTensors } from '../safetensors/open-checkpoint-tensors.ts';
import { parseQuantizationConfig } from './quantization-config.ts';
import { describeQuantizedLinear, type QuantizedLinear } from './quantized-linear.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sdnq-'));
});
afterEach(() => rm(dir, { recursive: true }));

const bytesOf = { U8: 1, I8: 1, BF16: 2, F16: 2, F32: 4, I32: 4 } as const;
type Tensors = Record<string, [keyof typeof bytesOf, ...number[]]>;

async function describe(tensors: Tensors, config: Record<string, unknown> | null): Promise<QuantizedLinear | null> {
  const stored = Object.entries(tensors).map(([name, [dtype, ...shape]]) => {
    const data = new Uint8Array(bytesOf[dtype] * shape.reduce((a, b) => a * b, 1));
    return [`X.${name}`, { dtype, shape, data }] as const;
  });
  await writeFile(join(dir, 'model.safetensors'), safetensorsOf(Object.fromEntries(stored)));
  const table = await openCheckpointTensors(dir, 'model');
  return describeQuantizedLinear(table, 'X', config === null ? null : parseQuantizationConfig({ quant_method: 'sdnq', ...config }, 'config.json'));
}

const uint4 = { weights_dtype: 'uint4' };
const int8 = { weights_dtype: 'int8' };
const packed: Tensors = { weight: ['U8', 64], scale: ['F32', 8, 2, 1], zero_point: ['F32', 8, 2, 1] }; // N 8, K 16
const svd: Tensors = { svd_up: ['F32', 8, 3], svd_down: ['F32', 3, 16] };
const rows: Tensors = { weight: ['I8', 8, 16], scale: ['BF16', 8, 1] };

test('a float weight without a scale is not quantized, with and without a config', async () => {
  expect(await describe({ weight: ['BF16', 8, 16] }, uint4)).toBeNull();
  expect(await describe({ weight: ['F32', 8, 16], bias: ['F32', 8] }, null)).toBeNull();
});

const read: [string, Tensors, Record<string, unknown>, Partial<QuantizedLinear>][] = [
  ['uint4 in groups', packed, uint4, { bits: 4, n: 8, k: 16, groups: 2, groupSize: 8 }],
  ['uint4 with scales for whole rows', { weight: ['U8', 64], scale: ['F16', 8, 1], zero_point: ['F16', 8, 1] }, uint4, { bits: 4, n: 8, k: 16, groups: 1 }],
  ['uint4 of a single row', { weight: ['U8', 8], scale: ['F32', 1, 1], zero_point: ['F32', 1, 1] }, uint4, { n: 1, k: 16, groups: 1, transposed: false }],
  ['an int8 row', { weight: ['I8', 1, 16], scale: ['F32', 1, 1] }, int8, { n: 1, k: 16, transposed: false }],
  ['an int8 layer among uint4 ones', rows, { ...uint4, modules_dtype_dict: { int8: ['X.weight'] } }, { bits: 8, n: 8, k: 16 }],
  ['an int8 layer named by one part of its name', rows, { ...uint4, modules_dtype_dict: { INT8: 'X' } }, { bits: 8 }],
  ['an int8 layer named with a star', rows, { ...uint4, modules_dtype_dict: { int8: ['*.weight'] } }, { bits: 8 }],
  ['an int8 layer named by its beginning', rows, { ...uint4, modules_dtype_dict: { int8: ['.X'] } }, { bits: 8 }],
  ['a layer of at least 8 bits', rows, { ...uint4, modules_dtype_dict: { minimum_8bit: ['X'] } }, { bits: 8 }],
  ['a layer of at least 4 bits, which int8 has', rows, { ...int8, modules_dtype_dict: { '4bits': ['X'] } }, { bits: 8 }],
  ['a rule for other layers', packed, { ...uint4, modules_dtype_dict: { int5: ['Y', '*.X', '.weight'] } }, { bits: 4 }],
  [
    'a layer with a config of its own',
    rows,
    { ...uint4, use_hadamard: true, modules_quant_config: { X: { weights_dtype: 'int8', use_hadamard: false } } },
    { bits: 8 },
  ],
  ['int4, which has no zero points', { weight: ['U8', 64], scale: ['F32', 8, 2, 1] }, { weights_dtype: 'int4' }, { bits: 4, signed: true, k: 16 }],
  ['int5 in packs', { weight: ['U8', 16, 5], scale: ['F32', 8, 1] }, { weights_dtype: 'int5' }, { bits: 5, signed: true, n: 8, k: 16 }],
  [
    'an int5 layer among uint4 ones',
    { weight: ['U8', 16, 5], scale: ['F32', 8, 1] },
    { ...uint4, modules_dtype_dict: { uint4: ['Y.weight'], int5: ['X.weight'] } },
    { bits: 5, signed: true },
  ],
  ['uint6 in packs and groups', { ...packed, weight: ['U8', 32, 3] }, { weights_dtype: 'uint6' }, { bits: 6, signed: false, groups: 2, k: 16 }],
  ['int7 in packs', { weight: ['U8', 16, 7], scale: ['F32', 8, 1] }, { weights_dtype: 'int7' }, { bits: 7, n: 8, k: 16 }],
  ['uint8', { ...packed, weight: ['U8', 8, 2, 8] }, { weights_dtype: 'uint8' }, { bits: 8, signed: false, groups: 2, k: 16 }],
  [
    'a layer of at least 5 bits among uint4 ones',
    { weight: ['U8', 16, 5], scale: ['F32', 8, 1] },
    { ...uint4, modules_dtype_dict: { minimum_5bit: ['X'] } },
    { bits: 5 },
  ],
  [
    'Hadamard rotation',
    packed,
    { ...uint4, use_hadamard: true, hadamard_group_size: 128, sdnq_version: '0.2.8' },
    { rotation: expect.objectContaining({ group: 16 }) },
  ],
  [
    'no rotation of rows without a group of 4',
    { weight: ['U8', 8], scale: ['F32', 8, 1], zero_point: ['F32', 8, 1] },
    { ...uint4, use_hadamard: true },
    { k: 2, rotation: null },
  ],
  ['switches that change no layout', rows, { ...int8, use_dynamic_quantization: true, use_quantized_matmul: true, scale_dtype: 'none' }, { bits: 8 }],
];

test.each(read)('%s is read', async (_what, tensors, config, layout) => {
  expect(await describe(tensors, config)).toMatchObject(layout);
});

const damaged = 'checkpoint_damaged';
const unsupported = 'checkpoint_unsupported';

/** What is wrong, the tensors, the config, the code, what the sentence must say. */
const refused: [string, Tensors, Record<string, unknown> | null, string, string][] = [
  ['no weight', { scale: ['F32', 8, 1] }, int8, damaged, '"X.weight" is missing'],
  ['a quantized weight without its scale', { weight: ['U8', 64] }, uint4, damaged, '"X.weight" is U8; without a scale it must be F32, F16, BF16'],
  ['an int8 weight without its scale', { weight: ['I8', 8, 16] }, int8, damaged, '"X.weight" is I8'],
  ['a scale and no config', rows, null, damaged, 'there is no quantization_config'],
  ['integers as scales', { ...rows, scale: ['I32', 8, 1] }, int8, damaged, '"X.scale" is I32'],
  ['uint4 without zero points', { weight: ['U8', 64], scale: ['F32', 8, 2, 1] }, uint4, damaged, '"X.zero_point" is missing'],
  ['zero points of another shape', { ...packed, zero_point: ['F32', 8, 1] }, uint4, damaged, 'like its scale it must be [8,2,1]'],
  ['zero points as bytes', { ...packed, zero_point: ['U8', 8, 2, 1] }, uint4, damaged, '"X.zero_point" is U8'],
  ['uint4 that is not flat', { ...packed, weight: ['U8', 8, 8] }, uint4, damaged, 'is U8 of shape [8,8]; uint4 is stored as a flat U8 tensor'],
  ['uint4 as signed bytes', { ...packed, weight: ['I8', 64] }, uint4, damaged, 'is I8 of shape [64]'],
  ['uint4 with a scale for all', { weight: ['U8', 64], scale: ['F32', 1], zero_point: ['F32', 1] }, uint4, damaged, 'must be [N,1] or [N,groups,1]'],
  ['uint4 with a transposed scale', { weight: ['U8', 64], scale: ['F32', 1, 8], zero_point: ['F32', 1, 8] }, uint4, damaged, 'has shape [1,8]'],
  ['uint4 with scales of four dimensions', { ...packed, scale: ['F32', 8, 2, 1, 1], zero_point: ['F32', 8, 2, 1, 1] }, uint4, damaged, 'has shape [8,2,1,1]'],
  ['uint4 whose rows are not equal', { ...packed, weight: ['U8', 63] }, uint4, damaged, 'holds 126 values, which do not make the 8 equal rows'],
  [
    'uint4 whose groups are not equal',
    { weight: ['U8', 64], scale: ['F32', 8, 3, 1], zero_point: ['F32', 8, 3, 1] },
    uint4,
    damaged,
    'splits rows of 16 values into 3 groups',
  ],
  ['uint4 without values', { weight: ['U8', 0], scale: ['F32', 8, 1], zero_point: ['F32', 8, 1] }, uint4, damaged, 'rows of 0 values'],
  ['int8 with a scale too many', { ...rows, scale: ['F32', 9, 1] }, int8, damaged, 'for a weight of [8,16] it must be [8,1] or, transposed, [1,16]'],
  ['int8 with a scale for all', { ...rows, scale: ['F32'] }, int8, damaged, 'has shape []'],
  ['int8 as unsigned bytes', { ...rows, weight: ['U8', 8, 16] }, int8, damaged, 'is U8 of shape [8,16]; int8 is stored as I8'],
  ['flat int8', { ...rows, weight: ['I8', 128] }, int8, damaged, 'is I8 of shape [128]'],
  ['an int8 convolution', { weight: ['I8', 8, 2, 2, 2], scale: ['F32', 8, 1, 1, 1] }, int8, damaged, '2 or 3 dimensions'],
  ['int8 groups unlike their scale', { weight: ['I8', 8, 2, 8], scale: ['F32', 8, 4, 1] }, int8, damaged, 'for a weight of [8,2,8] it must be [8,2,1]'],
  ['int8 groups with one scale a row', { weight: ['I8', 8, 2, 8], scale: ['F32', 8, 1] }, int8, damaged, 'it must be [8,2,1]'],
  ['int8 without groups', { weight: ['I8', 8, 0, 8], scale: ['F32', 8, 0, 1] }, int8, damaged, 'into 0 groups'],
  ['int8 with zero points', { ...rows, zero_point: ['F32', 8, 1] }, int8, unsupported, '"X.zero_point" belongs to an int8 weight'],
  ['svd_up alone', { ...packed, svd_up: ['F32', 8, 3] }, uint4, damaged, '"X.svd_up" stands alone; "X.svd_down" is missing'],
  ['svd_down alone', { ...packed, svd_down: ['F32', 3, 16] }, uint4, damaged, '"X.svd_down" stands alone; "X.svd_up" is missing'],
  ['factors of two ranks', { ...packed, ...svd, svd_down: ['F32', 4, 16] }, uint4, damaged, 'they must be [8,rank] and [rank,16]'],
  ['one factor transposed', { ...packed, svd_up: ['F32', 3, 8], svd_down: ['F32', 3, 16] }, uint4, damaged, 'or both transposed'],
  ['a flat factor', { ...packed, svd_up: ['F32', 24], svd_down: ['F32', 3, 16] }, uint4, damaged, 'has shape [24]'],
  ['factors as bytes', { ...packed, ...svd, svd_up: ['U8', 8, 3] }, uint4, damaged, '"X.svd_up" is U8'],
  ['quantized scales', { ...packed, scale_2: ['F32', 1] }, uint4, unsupported, '"X.scale_2" belongs to quantized scales'],
  ['quantized zero points', { ...packed, zero_point_scale: ['F32', 1] }, uint4, unsupported, '"X.zero_point_scale" belongs to quantized scales'],
  ['float8', packed, { weights_dtype: 'float8_e4m3fn' }, unsupported, '"float8_e4m3fn"'],
  ['a layer of at least 9 unsigned bits', packed, { ...uint4, modules_dtype_dict: { 'minimum-uint9bits': ['X'] } }, unsupported, '"uint9"'],
  ['a minimum that is not a number', packed, { ...uint4, modules_dtype_dict: { minimum_few: ['X'] } }, unsupported, '"minimum_few"'],
  ['a layer with an int3 config of its own', packed, { ...uint4, modules_quant_config: { X: { weights_dtype: 'int3' } } }, unsupported, '"int3"'],
  [
    'int5 that is not in packs',
    { ...rows, weight: ['U8', 80] },
    { weights_dtype: 'int5' },
    damaged,
    'int5 is stored as a U8 tensor of [packs,5], 8 values in 5 bytes',
  ],
  ['int2', packed, { weights_dtype: 'int2' }, unsupported, 'is quantized as "int2"; int4 to int8 and uint4 to uint8 are supported'],
  ['one scale for a whole tensor', packed, { ...uint4, group_size: -2 }, unsupported, 'has group_size -2'],
  ['a rotation of which two kinds exist', packed, { ...uint4, use_hadamard: true }, unsupported, 'use_hadamard with groups of 16 needs a sdnq_version'],
  ['such a rotation of one layer', packed, { ...uint4, modules_quant_config: { X: { use_hadamard: true } } }, unsupported, 'use_hadamard'],
  ['a codebook', packed, { ...uint4, use_codebook: true }, unsupported, 'use_codebook'],
  ['a codebook of scales', packed, { ...uint4, use_codebook_scale: true }, unsupported, 'use_codebook_scale'],
  ['a switch of a later version', packed, { ...uint4, use_something_new: true }, unsupported, 'use_something_new'],
  ['a type for scales', packed, { ...uint4, scale_dtype: 'uint8' }, unsupported, 'has scale_dtype "uint8"'],
  ['a type for zero points', packed, { ...uint4, zero_point_dtype: 'uint8' }, unsupported, 'has zero_point_dtype "uint8"'],
];

test.each(refused)('%s is refused', async (_what, tensors, config, code, reason) => {
  const thrown: unknown = await describe(tensors, config).catch((error: unknown) => error);
  if (!(thrown instanceof AppError)) throw new Error(`no AppError: ${JSON.stringify(thrown)}`);
  expect(thrown.code).toBe(code);
  expect(thrown.message).toContain(reason);
});
