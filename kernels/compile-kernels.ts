import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { main } from 'assemblyscript/asc';

/** Pages of 64 KiB; the memory comes from outside, and all that 32 bits reach may be asked for. */
const MEMORY = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];

/** Compiles `convolution.ts` to `DIR/convolution.wasm` and gives its bytes. Throws with what the compiler said. */
export async function compileKernels(dir: string): Promise<Buffer> {
  await mkdir(dir, { recursive: true });
  const out = join(dir, 'convolution.wasm');
  const source = join(import.meta.dirname, 'convolution.ts');
  const features = ['--enable', 'simd,relaxed-simd,threads'];
  const { error, stderr } = await main([source, '--outFile', out, '-O3', '--noAssert', '--runtime', 'stub', ...features, ...MEMORY]);
  if (error !== null) throw new Error(`The kernels cannot be compiled: ${stderr.toString()}`, { cause: error });
  return readFile(out);
}
