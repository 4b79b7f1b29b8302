/**
 * What a process that we start inherits: our own environment, but for the token that it has no use for, and with NVIDIA's cards counted as `nvidia-smi`
 * counts them.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const { HF_TOKEN: _, ...rest } = process.env;
  return { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', ...rest };
}
