/** Variables that other programs set and that change how a Node.js process starts; with `NODE_UNIQUE_ID` it waits forever for a cluster. */
const FOR_OTHER_PROCESSES = ['NODE_OPTIONS', 'NODE_UNIQUE_ID', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_V8_COVERAGE', 'UV_THREADPOOL_SIZE'];
/** A process that runs models does not need them. */
const SECRETS = ['HF_TOKEN'];

/**
 * The environment of a process that we start: our own without the above, with NVIDIA's cards numbered as in `nvidia-smi`, and with a fixed size above
 * which glibc maps each block separately. By default glibc raises that size as blocks are freed. The weights that ONNX Runtime reads, folds and packs then
 * leave gaps that are never returned to the system: 2 GB of a denoiser of 4.2 GB stayed after its release.
 */
export function childEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const dropped = new Set([...FOR_OTHER_PROCESSES, ...SECRETS]);
  const kept = Object.entries(env).filter(([name]) => !dropped.has(name.toUpperCase()));
  return { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '134217728', ...Object.fromEntries(kept) };
}
