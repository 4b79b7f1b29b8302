import type { CudaPackAction, CudaPackEntry, CudaPackOrder } from '#shared/domain/cuda-pack.ts';

/** The CUDA libraries of this machine, and what people do with them. */
export interface CudaPack {
  entry(): Promise<CudaPackEntry>;
  /**
   * Begins what takes long and resolves with how the pack stands then; the rest is told by `watch`. Rejects with `licence_not_accepted`, `cuda_pack_busy`,
   * `cuda_pack_unsupported`; what fails later is the pack's error.
   */
  act(action: CudaPackAction, order: CudaPackOrder): Promise<CudaPackEntry>;
  /** Calls `listener` at each change of state, and at most four times a second while something is done. Returns the end of it. */
  watch(listener: (pack: CudaPackEntry) => void): () => void;
  /** Stops where it is; `install` goes on from there. */
  close(): Promise<void>;
}
