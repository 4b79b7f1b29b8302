import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { readCommandLine } from '#main/config/command-options.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { parseRecipe, RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';

const usage = `Usage: zimage show FILE.png [--json]

Shows how an image was made: its prompt, params and model. Needs no server.`;
export const optionsSchema = z.object({ json: z.boolean().default(false) });

export async function show(argv: readonly string[]): Promise<void> {
  const { words, options } = readCommandLine(optionsSchema, usage, argv);
  const [path, ...more] = words;
  if (path === undefined || more.length > 0) throw new AppError('bad_option', usage, { option: words.join(' ') });
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new AppError('unknown_image', `${path} cannot be read (${errnoCode(cause)}).`, {}, { cause });
  });
  const text = readPngTexts(bytes).find(({ keyword }) => keyword === RECIPE_KEYWORD)?.text;
  const recipe = text === undefined ? null : parseRecipe(text);
  if (recipe === null) throw new AppError('unknown_image', `${path} has no recipe: it is not a PNG of this program, or its metadata was removed.`, {});
  if (options.json) {
    process.stdout.write(`${JSON.stringify(recipe)}\n`);
    return;
  }
  const rows = {
    ...recipe.params,
    image: recipe.role,
    job: recipe.job_id,
    ...(recipe.task_type === 'upscale' ? {} : { model: recipe.checkpoint.name }),
    ...(recipe.upscaler === undefined ? {} : { upscaler: recipe.upscaler.name }),
    created: new Date(recipe.created_at * 1000).toISOString(),
  };
  for (const [name, value] of Object.entries(rows)) process.stdout.write(`${name.padEnd(15)} ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
}
