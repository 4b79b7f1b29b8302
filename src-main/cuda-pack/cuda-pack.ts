import type { CudaPackAction, CudaPackEntry, CudaPackOrder } from '#shared/domain/cuda-pack.ts';

/** The CUDA libraries of this machine, and the commands of users. */
export interface CudaPack {
  entry(): Promise<CudaPackEntry>;
  /**
   * Resolves when a long action has started; `watch` reports the rest. Rejects with `licence_not_accepted`, `cuda_pack_busy` or
   * `cuda_pack_unsupported`; a later failure is the `error` of the entry.
   */
  act(action: CudaPackAction, order: CudaPackOrder): Promise<CudaPackEntry>;
  /** Calls `listener` at each change of state, and at most four times a second during work. Returns the function that ends it. */
  watch(listener: (pack: CudaPackEntry) => void): () => void;
  /** Stops an installation; `install` resumes it. */
  close(): Promise<void>;
}
