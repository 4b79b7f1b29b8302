import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { main } from 'assemblyscript/asc';

/** Pages of 64 KiB; the host provides the memory, up to all that 32 bits can address. */
const MEMORY = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];

/** Compiles `convolution.ts` to `DIR/convolution.wasm` and returns its bytes. Throws with the compiler's output. */
export async function compileKernels(dir: string): Promise<Buffer> {
  await mkdir(dir, { recursive: true });
  const out = join(dir, 'convolution.wasm');
  const source = join(import.meta.dirname, 'convolution.ts');
  const features = ['--enable', 'simd,relaxed-simd,threads'];
  const { error, stderr } = await main([source, '--outFile', out, '-O3', '--noAssert', '--runtime', 'stub', ...features, ...MEMORY]);
  if (error !== null) throw new Error(`The kernels cannot be compiled: ${stderr.toString()}`, { cause: error });
  return readFile(out);
}
