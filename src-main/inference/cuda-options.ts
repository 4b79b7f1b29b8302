/** What one session on a CUDA card goes by, beside the card's number. */
export interface CudaChoices {
  /** To how many bytes the memory of this session may grow; null for all that the card has. */
  arenaBytes: number | null;
  /** Whether memory is short: cuDNN is then to do with the scratch memory that it asks for at least, and may be slower. */
  isTight: boolean;
  /** Whether float32 is computed as such; else its products may be TF32, 10 bits of mantissa, on cards that have it. */
  isExact: boolean;
}

/**
 * Options of ONNX Runtime's CUDA provider, names and values as it parses them:
 * https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#configuration-options
 */
export function cudaOptions(card: number, { arenaBytes, isTight, isExact }: CudaChoices): Record<string, string> {
  return {
    // the first card is the default, and one that is named is looked for before anything else is said
    ...(card === 0 ? {} : { device_id: String(card) }),
    ...(arenaBytes === null ? {} : { gpu_mem_limit: String(Math.floor(arenaBytes)) }),
    // growing by powers of two would take up to twice what the memory plan has reckoned
    arena_extend_strategy: 'kSameAsRequested',
    // the default tries every algorithm again for every size of image or tile
    cudnn_conv_algo_search: 'HEURISTIC',
    cudnn_conv_use_max_workspace: isTight ? '0' : '1',
    use_tf32: isExact ? '0' : '1',
  };
}
