import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AppError } from '#shared/protocol/errors.ts';

/** The values of a command line without positionals. Throws `bad_option`, whose sentence goes on with `advice`. */
export function parseArguments(argv: readonly string[], options: NonNullable<ParseArgsConfig['options']>, advice: string): Record<string, unknown> {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    // node says what is wrong in its first sentence and adds advice that does not fit a command without positionals
    const sentence = (cause instanceof Error ? cause.message : String(cause)).split(/\.\s/)[0] ?? '';
    const option = /'(?:-\w, )?(-{0,2}[^' ]*)/.exec(sentence)?.[1] ?? '';
    throw new AppError('bad_option', `${sentence}.${advice}`, { option }, { cause });
  }
}
