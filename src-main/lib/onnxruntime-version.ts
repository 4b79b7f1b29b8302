import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { programDir } from './program-files.ts';

const manifestSchema = z.object({ dependencies: z.object({ 'onnxruntime-node': z.string() }) });

/** Of ONNX Runtime, as package.json pins it: loading the library here only to ask would cost the server its memory. */
export function onnxruntimeVersion(): string {
  return manifestSchema.parse(JSON.parse(readFileSync(join(programDir, 'package.json'), 'utf8'))).dependencies['onnxruntime-node'];
}
