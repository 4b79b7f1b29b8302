import { parseArgs } from 'node:util';
import { z } from 'zod';
import { expandFolder } from './expand-folder.ts';
import { commandArguments } from './launch-arguments.ts';
import { optionKinds, readOptions } from './read-options.ts';

/** A file or folder on the command line, made absolute. */
export const pathOption = z
  .string()
  .min(1)
  .transform((path) => expandFolder(path, process.env));

/**
 * The options of a command such as `npm run generate`. The environment may set `--data-dir`. `--help` prints `usage` and ends the program.
 * Throws `bad_option`, whose message ends with `usage`.
 */
export function readCommandOptions<S extends z.ZodObject>(schema: S, usage: string, argv: readonly string[] = commandArguments()): z.infer<S> {
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(usage);
    process.exit(0);
  }
  return readOptions(schema, {
    argv,
    env: process.env,
    fromEnvironment: Object.keys(schema.shape).filter((name) => name === 'data-dir'),
    advice: `\n\n${usage}`,
  });
}

/** Options as above, and the words before, between and behind them: `PROMPT -o FILE`. */
export function readCommandLine<S extends z.ZodObject>(schema: S, usage: string, argv: readonly string[]): { words: string[]; options: z.infer<S> } {
  const { tokens } = parseArgs({ args: [...argv], options: optionKinds(schema), strict: false, tokens: true });
  const words = tokens.filter((token) => token.kind === 'positional');
  const others = new Set(tokens.filter(({ kind }) => kind !== 'option').map(({ index }) => index));
  const options = readCommandOptions(
    schema,
    usage,
    argv.filter((_, at) => !others.has(at)),
  );
  return { words: words.map(({ value }) => value), options };
}

/** The words before the first option, and the rest: `install NAME --data-dir DIR` is [`install`, `NAME`] and [`--data-dir`, `DIR`]. */
export function readCommandWords(argv: readonly string[]): { words: string[]; options: string[] } {
  const first = argv.findIndex((argument) => argument.startsWith('-'));
  const end = first === -1 ? argv.length : first;
  return { words: argv.slice(0, end), options: argv.slice(end) };
}
