import { AppError } from '#shared/protocol/errors.ts';
import type { DerivedWeights } from '../derived-weights.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type ElementType, type FileData, type Initializer, showShape, type Value } from '../graph/ir.ts';
import type { StoredTensor } from '../safetensors/header.ts';
import type { TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { requireTensor } from '../safetensors/open-checkpoint-tensors.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import type { QuantizationConfig } from '../sdnq/quantization-config.ts';
import { cast } from './basic.ts';
import type { Numerics } from './numerics.ts';

const ELEMENT_TYPE: Partial<Record<StoredTensor['dtype'], ElementType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  U8: 'uint8',
  I8: 'int8',
};

/** The tensors of one model as the graphs use them: in place, by file and offset. */
export class Weights {
  readonly table: TensorTable;
  readonly quantization: QuantizationConfig | null;
  readonly derived: DerivedWeights;
  readonly numerics: Numerics;
  /** Whether quantized weights may be written again as int8 with a scale a row. */
  readonly copiesInt8: boolean;
  /** What stands before every name in the file and in no name here, such as `model.`. */
  readonly prefix: string;

  constructor(options: {
    table: TensorTable;
    quantization: QuantizationConfig | null;
    derived: DerivedWeights;
    numerics: Numerics;
    copiesInt8: boolean;
    prefix?: string;
  }) {
    this.table = options.table;
    this.quantization = options.quantization;
    this.derived = options.derived;
    this.numerics = options.numerics;
    this.copiesInt8 = options.copiesInt8;
    this.prefix = options.prefix ?? '';
  }

  has(name: string): boolean {
    return this.table.tensors.has(this.prefix + name);
  }

  /** First size of `NAME.weight`. */
  rows(name: string): number {
    const tensor = requireTensor(this.table, `${this.prefix}${name}.weight`);
    return tensor.shape[0] ?? 0;
  }

  /** The tensor as it stands, where it stands. Throws `checkpoint_damaged` where it is missing or of another shape than `shape`. */
  stored(graph: GraphBuilder, name: string, shape: readonly number[], view: readonly number[] = shape): Value {
    return this.inPlace(graph, this.#require(name, shape), view);
  }

  /** The elements of a float tensor, for constants that are computed from them. Throws as `stored` does. */
  async readFloats(name: string, shape: readonly number[]): Promise<Float32Array> {
    return readFloats(this.#require(name, shape));
  }

  #require(name: string, shape: readonly number[]): StoredTensor {
    const tensor = requireTensor(this.table, this.prefix + name);
    if (showShape(tensor.shape) !== showShape(shape)) {
      throw new AppError(
        'checkpoint_damaged',
        `${tensor.file}: tensor ${tensor.name} has the shape ${showShape(tensor.shape)}; its config asks for ${showShape(shape)}.`,
        { path: tensor.file },
      );
    }
    return tensor;
  }

  /** A float tensor of `shape`, widened to float32 when the session loads; `view` is how the graph sees its elements. */
  float(graph: GraphBuilder, name: string, shape: readonly number[], view: readonly number[] = shape): Value {
    return cast(graph, this.stored(graph, name, shape, view), 'float32');
  }

  /** Any tensor of the file, its bytes read as `view`. Throws `checkpoint_unsupported` for a type that graphs do not take. */
  inPlace(graph: GraphBuilder, tensor: StoredTensor, view: readonly number[], options: Pick<Initializer, 'mapped'> = {}): Value {
    const type = ELEMENT_TYPE[tensor.dtype];
    if (type === undefined) {
      const allowed = Object.keys(ELEMENT_TYPE).join(', ');
      throw new AppError('checkpoint_unsupported', `${tensor.file}: tensor ${tensor.name} is ${tensor.dtype}; ${allowed} can be used.`, { path: tensor.file });
    }
    const data: FileData = { kind: 'file', path: tensor.file, offset: tensor.offset, byteLength: tensor.byteLength };
    return graph.weight(tensor.name, type, view, data, options);
  }
}
