import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { readCommandLine } from '#main/config/command-options.ts';
import { verificationSchema } from '#shared/domain/verification.ts';
import { uploadSchema } from '#shared/protocol/http.ts';
import type { Studio } from '../../clients/js/zimage.js';
import { clientOptions, connectOrStart, type ServerStarter } from './connect.ts';
import { assertFiles, verifyFiles, verifyOptions, verifyUsage } from './verify-files.ts';

export const optionsSchema = z.object({ ...clientOptions, ...verifyOptions });

const usage = verifyUsage(
  'zimage verify FILES… [--repeat] [--image FILE] [--json] [--url URL]',
  'The running server does the work, or one that is started.',
  '  --url URL          address of the server',
);

/** `zimage verify` where the program has no engine of its own. */
export async function verifyByServer(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const { words: files, options } = readCommandLine(optionsSchema, usage, argv);
  assertFiles(files, usage);
  const { studio, close } = await connectOrStart(options, starter);
  try {
    await verifyFiles(files, {
      ...options,
      keep: async (path) => uploadSchema.parse(await send(studio, '/api/uploads', path)).id ?? 'an image too large to start from',
      verify: async (path) => verificationSchema.parse(await send(studio, `/api/verify?repeat=${options.repeat}`, path)),
    });
  } finally {
    await close();
  }
}

async function send(studio: Studio, path: string, file: string): Promise<unknown> {
  const body = await readFile(file);
  // the server decides by the first bytes
  const answer = await studio.fetch(path, { method: 'PUT', headers: { 'content-type': 'image/unknown' }, body });
  return answer.json();
}
