import { AppError } from '#shared/protocol/errors.ts';
import type { FloatType, Graph, TensorType } from './ir.ts';
import { foldedValues } from './memory.ts';

const ALL: readonly FloatType[] = ['float32', 'float16', 'bfloat16'];
const NOT_BFLOAT16: readonly FloatType[] = ['float32', 'float16'];

/**
 * The floats that ONNX Runtime's CUDA provider has kernels for, by operator, at opset 21. A node without a kernel there would silently run on the CPU, its
 * values copied over and back at every step, or refuse to load. Source: onnxruntime `docs/OperatorKernels.md`, CUDAExecutionProvider.
 */
export const cudaKernels: Readonly<Record<string, readonly FloatType[]>> = {
  Add: ALL,
  Mul: ALL,
  Tanh: ALL,
  Cos: NOT_BFLOAT16,
  Sin: NOT_BFLOAT16,
  Cast: ALL,
  Relu: ALL,
  LeakyRelu: NOT_BFLOAT16,
  Gather: ALL,
  Where: ALL,
  Concat: ALL,
  Split: ALL,
  Slice: ALL,
  Transpose: ALL,
  Reshape: ALL,
  Shape: ALL,
  Gemm: ALL,
  Conv: NOT_BFLOAT16, // bfloat16 from opset 22 on
  InstanceNormalization: NOT_BFLOAT16,
  Resize: NOT_BFLOAT16,
  DepthToSpace: NOT_BFLOAT16,
  LayerNormalization: ALL,
  SimplifiedLayerNormalization: ALL,
  'com.microsoft.QuickGelu': ALL,
  'com.microsoft.MatMulNBits': ALL,
  'com.microsoft.RotaryEmbedding': ALL,
  'com.microsoft.MultiHeadAttention': ALL,
};

/** Throws `graph_invalid` for the first node that the CUDA provider has no kernel for. `types` has the type of every value. What is folded at load runs on the CPU. */
export function assertCudaKernels(graph: Graph, types: ReadonlyMap<string, TensorType>): void {
  const folded = foldedValues(graph);
  for (const { name: node, op, domain, inputs, outputs } of graph.nodes) {
    if (outputs.some((name) => folded.has(name))) continue;
    const operator = domain === '' ? op : `${domain}.${op}`;
    const known: readonly string[] = cudaKernels[operator] ?? [];
    const floats = [...inputs, ...outputs].flatMap((value) => types.get(value)?.type ?? []).filter((type) => type.includes('float'));
    const without = known.length === 0 ? 'no type' : floats.find((type) => !known.includes(type));
    if (without === undefined) continue;
    const reason = `CUDA has kernels of ${operator} for ${known.length === 0 ? without : known.join(', ')}, and not for ${floats.join(', ')}`;
    throw new AppError('graph_invalid', `The graph ${graph.name} is not valid at node ${node}: ${reason}.`, { graph: graph.name, node });
  }
}
