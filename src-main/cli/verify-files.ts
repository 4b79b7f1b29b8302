import { z } from 'zod';
import { pathOption } from '#main/config/command-options.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import type { Verification } from '#shared/domain/verification.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import { StudioError } from '../../clients/js/zimage.js';
import { describeVerification, exitCodeOf } from './describe-verification.ts';

/** Options of `npm run verify` and `zimage verify`. */
export const verifyOptions = { repeat: z.boolean().default(false), json: z.boolean().default(false), image: z.array(pathOption).default([]) };

export function verifyUsage(command: string, note: string, moreOptions: string): string {
  return `Usage: ${command}

Says of each image file whether its pixels are those that were made, whether it was made here and whether it can be
repeated here. ${note}

  --repeat           make each image again and compare
  --image FILE       the image or mask that an image was made from, if it is no longer here; may be given several times
  --json             one JSON object for each file, as PUT /api/verify answers it
${moreOptions}

Exit status, the first that applies to any file: 1 a file cannot be read, 2 wrong options, 3 pixels were changed,
4 nothing is known of a file's pixels, 5 a repeated image differs, 6 an image cannot be repeated; else 0.`;
}

export function assertFiles(files: readonly string[], usage: string): void {
  if (files.length === 0) throw new AppError('bad_option', `Name at least one file.\n\n${usage}`, { option: 'FILES' });
}

interface VerifyFilesOptions {
  image: readonly string[];
  json: boolean;
  /** Keeps an image that others were made from, until the end; returns the SHA-256 of its file. */
  keep(path: string): Promise<string>;
  verify(path: string): Promise<Verification>;
}

/** Prints one line or object for each file on standard output, and sets the exit status. */
export async function verifyFiles(files: readonly string[], { image, json, keep, verify }: VerifyFilesOptions): Promise<void> {
  const given = new Map<string, string>();
  for (const path of image) {
    const id = await keep(path).catch((thrown: unknown) => {
      throw new AppError('bad_option', `--image: ${failureOf(thrown, path).message}`, { option: '--image' }, { cause: thrown });
    });
    given.set(id, path);
  }
  const codes: number[] = [];
  for (const file of files) {
    try {
      const verification = await verify(file);
      console.log(json ? JSON.stringify({ file, ...verification }) : `${file}: ${describeVerification(verification).join(' ')}`);
      codes.push(exitCodeOf(verification));
      for (const id of Object.values(verification.recipe?.params ?? {})) if (typeof id === 'string') given.delete(id);
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.code === 'cancelled') throw thrown;
      const error = failureOf(thrown, file);
      if (json) console.log(JSON.stringify({ file, error }));
      else console.error(`${file}: ${error.message}`);
      codes.push(1);
    }
  }
  for (const [id, path] of given) console.error(`--image ${path} was not used: no file was made from it. Its SHA-256 is ${id}.`);
  process.exitCode = Math.min(...codes.filter((code) => code > 0), 7) % 7;
}

function failureOf(thrown: unknown, file: string): { code: string; message: string } {
  if (thrown instanceof StudioError && thrown.code !== undefined) return { code: thrown.code, message: thrown.message };
  const code = errnoCode(thrown);
  if (thrown instanceof AppError || !/^E[A-Z]+$/.test(code)) {
    const { code: known, message } = toWireError(thrown);
    return { code: known, message };
  }
  return { code: 'unknown_image', message: code === 'ENOENT' ? `There is no file ${file}.` : `${file} cannot be read (${code}).` };
}
