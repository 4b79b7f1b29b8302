import { AppError } from '#shared/protocol/errors.ts';
import type { DerivedWeights } from '../derived-weights.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type ElementType, type FileData, type Initializer, showShape, type Value } from '../graph/ir.ts';
import type { StoredTensor } from '../safetensors/header.ts';
import type { TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { requireTensor } from '../safetensors/open-checkpoint-tensors.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import type { QuantizationConfig } from '../sdnq/quantization-config.ts';
import { describeQuantizedLinear, type QuantizedLinear } from '../sdnq/quantized-linear.ts';
import { cast } from './basic.ts';
import type { Numerics } from './numerics.ts';

const ELEMENT_TYPE: Partial<Record<StoredTensor['dtype'], ElementType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  U8: 'uint8',
  I8: 'int8',
};

export interface WeightsOptions {
  table: TensorTable;
  quantization: QuantizationConfig | null;
  derived: DerivedWeights;
  numerics: Numerics;
  /** Whether quantized weights may be written again as int8 with a scale a row. */
  copiesInt8: boolean;
  /** Whether unquantized linear weights are written again as int8 with a scale a row. */
  quantizesFloats?: boolean;
  /** Whether each linear layer takes LoRAs as inputs of the graph. */
  takesLoras?: boolean;
  /** Prefix of every name in the file that the names here lack, such as `model.`. */
  prefix?: string;
  /** Called for each tensor that a graph uses. */
  onUse?: (tensor: StoredTensor) => void;
}

/** The tensors of one model as the graphs use them: in place, by file and offset. */
export class Weights {
  readonly derived: DerivedWeights;
  readonly numerics: Numerics;
  readonly copiesInt8: boolean;
  readonly quantizesFloats: boolean;
  readonly takesLoras: boolean;
  readonly prefix: string;
  readonly #options: WeightsOptions;

  constructor(options: WeightsOptions) {
    this.derived = options.derived;
    this.numerics = options.numerics;
    this.copiesInt8 = options.copiesInt8;
    this.quantizesFloats = options.quantizesFloats ?? false;
    this.takesLoras = options.takesLoras ?? false;
    this.prefix = options.prefix ?? '';
    this.#options = options;
  }

  /** The same tensors, used in another way. */
  with(changes: Partial<WeightsOptions>): Weights {
    return new Weights({ ...this.#options, ...changes });
  }

  has(name: string): boolean {
    return this.#options.table.tensors.has(this.prefix + name);
  }

  /** First size of `NAME.weight`. */
  rows(name: string): number {
    const tensor = requireTensor(this.#options.table, `${this.prefix}${name}.weight`);
    return tensor.shape[0] ?? 0;
  }

  /** The tensor in place. Throws `checkpoint_damaged` where it is missing or has another shape than `shape`. */
  stored(graph: GraphBuilder, name: string, shape: readonly number[], view: readonly number[] = shape): Value {
    return this.inPlace(graph, this.require(name, shape), view);
  }

  /** The elements of a float tensor, for constants that are computed from them. Throws as `stored` does. */
  async readFloats(name: string, shape: readonly number[]): Promise<Float32Array> {
    return readFloats(this.require(name, shape));
  }

  /** The linear layer `name`; null where its weight is not quantized. Throws as `describeQuantizedLinear` does. */
  quantizedLinear(name: string): QuantizedLinear | null {
    const linear = describeQuantizedLinear(this.#options.table, this.prefix + name, this.#options.quantization);
    for (const tensor of [linear?.weight, linear?.scale, linear?.zeroPoint, linear?.svd?.up, linear?.svd?.down]) if (tensor) this.#options.onUse?.(tensor);
    return linear;
  }

  /** The tensor, unread. Throws `checkpoint_damaged` where it is missing or has another shape. */
  require(name: string, shape: readonly number[]): StoredTensor {
    const tensor = requireTensor(this.#options.table, this.prefix + name);
    if (showShape(tensor.shape) !== showShape(shape)) {
      throw new AppError(
        'checkpoint_damaged',
        `${tensor.file}: tensor ${tensor.name} has the shape ${showShape(tensor.shape)}; its config asks for ${showShape(shape)}.`,
        { path: tensor.file },
      );
    }
    this.#options.onUse?.(tensor);
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
    return graph.weight(tensor.name, type, view, fileData(tensor), options);
  }

  /** The bytes of an 8-bit tensor as unsigned ones, whatever their type in the file. */
  bytesInPlace(graph: GraphBuilder, tensor: StoredTensor, view: readonly number[]): Value {
    return graph.weight(tensor.name, 'uint8', view, fileData(tensor));
  }
}

function fileData({ file: path, offset, byteLength }: StoredTensor): FileData {
  return { kind: 'file', path, offset, byteLength };
}
