/** `CUDA_VISIBLE_DEVICES`, undefined where unset. */
export function visibleCudaDevices(): string | undefined {
  return process.env['CUDA_VISIBLE_DEVICES'];
}
