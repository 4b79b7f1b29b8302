import type { z } from 'zod';
import { AppError } from '#shared/protocol/errors.ts';
import { commandArguments } from './launch-arguments.ts';
import { parseArguments } from './parse-arguments.ts';

/**
 * The options of a command such as `npm run generate`, read from the command line by `schema`: strings, and booleans where `flags` names them.
 * `--help` prints `usage` and ends the program. Throws `bad_option`, whose sentence ends with `usage`.
 */
export function readCommandOptions<S extends z.ZodObject>(
  schema: S,
  flags: readonly string[],
  usage: string,
  argv: readonly string[] = commandArguments(),
): z.infer<S> {
  if (argv.includes('--help')) {
    console.log(usage);
    process.exit(0);
  }
  const options = Object.fromEntries(
    Object.keys(schema.shape).map((name) => [name, { type: flags.includes(name) ? ('boolean' as const) : ('string' as const) }]),
  );
  const advice = `\n\n${usage}`;
  const values = parseArguments(argv, options, advice);
  const parsed = schema.safeParse(values, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const option = `--${String(issue?.path[0] ?? '')}`;
  const reason = issue?.input === undefined ? `${option} is missing` : `${option} ${JSON.stringify(issue.input)}: ${issue.message}`;
  throw new AppError('bad_option', `${reason}.${advice}`, { option });
}

/** The words of a command line that stand before its first option, and the rest: `install NAME --data-dir DIR` is [`install`, `NAME`] and [`--data-dir`, `DIR`]. */
export function readCommandWords(argv: readonly string[]): { words: string[]; options: string[] } {
  const first = argv.findIndex((argument) => argument.startsWith('-'));
  const end = first === -1 ? argv.length : first;
  return { words: argv.slice(0, end), options: argv.slice(end) };
}
