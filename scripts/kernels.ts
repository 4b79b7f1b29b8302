import { join } from 'node:path';
import { compileKernels } from '../kernels/compile-kernels.ts';

await compileKernels(join(import.meta.dirname, '../resources/kernels'));
