import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AppError } from '#shared/protocol/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

interface OptionSources {
  argv: readonly string[];
  env: Environment;
  /** Options that the environment may set too: `data-dir` as `ZIMAGE_DATA_DIR`, lists with commas. */
  fromEnvironment: readonly string[];
  /** Appended to every refusal. */
  advice: string;
}

/**
 * The options that `schema` names, from the command line and, where it leaves them open, from the environment. A boolean is a switch, an array a
 * repeatable option. Throws `bad_option`, which names the option or the variable that held the value.
 */
export function readOptions<S extends z.ZodObject>(schema: S, { argv, env, fromEnvironment, advice }: OptionSources): z.infer<S> {
  const kinds = optionKinds(schema);
  const given = parseArguments(argv, kinds, advice);
  const inherited = Object.fromEntries(fromEnvironment.flatMap((name) => environmentValue(name, kinds[name], env)));
  const parsed = schema.safeParse({ ...inherited, ...given }, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0] ?? '');
  const option = name in inherited && !(name in given) ? environmentName(name) : `--${name}`;
  const problem = issue?.input === undefined ? 'is missing' : `${JSON.stringify(issue.input)} is not valid: it must be ${issue.message}`;
  throw new AppError('bad_option', `${option} ${problem}.${advice}`, { option });
}

export function environmentName(option: string): string {
  return `ZIMAGE_${option.toUpperCase().replaceAll('-', '_')}`;
}

interface Kind {
  type: 'string' | 'boolean';
  multiple?: boolean;
  short?: string;
}

const shortNames: Readonly<Record<string, string>> = { help: 'h', output: 'o', count: 'n' };

/** The options of a schema as `parseArgs` wants them. */
export function optionKinds(schema: z.ZodObject): Record<string, Kind> {
  return Object.fromEntries(
    Object.entries<z.core.$ZodType>(schema.shape).map(([name, type]) => {
      const short = shortNames[name];
      return [name, { ...kindOf(type), ...(short === undefined ? {} : { short }) }];
    }),
  );
}

function kindOf(type: z.core.$ZodType): Kind {
  if (type instanceof z.ZodDefault || type instanceof z.ZodOptional) return kindOf(type.unwrap());
  return { type: type instanceof z.ZodBoolean ? 'boolean' : 'string', multiple: type instanceof z.ZodArray };
}

function parseArguments(argv: readonly string[], options: Record<string, Kind>, advice: string): Record<string, unknown> {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    // Node's further sentences give advice that does not fit a command without positionals
    const sentence = (cause instanceof Error ? cause.message : String(cause)).split(/\.\s/)[0] ?? '';
    const option = /'(?:-\w, )?(-{0,2}[^' ]*)/.exec(sentence)?.[1] ?? '';
    throw new AppError('bad_option', `${sentence}.${advice}`, { option }, { cause });
  }
}

/** Blanks and line ends around a value come from files with Windows line ends and are no part of it. */
function environmentValue(name: string, kind: Kind | undefined, env: Environment): Array<[name: string, value: unknown]> {
  const text = env[environmentName(name)]?.trim() ?? '';
  if (text === '') return [];
  if (kind?.multiple) return [[name, text.split(',').map((part) => part.trim())]];
  return [[name, kind?.type === 'boolean' ? booleanFrom(environmentName(name), text) : text]];
}

function booleanFrom(variable: string, text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new AppError('bad_option', `${variable} is ${JSON.stringify(text)}; it must be 1, true, 0 or false.`, { option: variable });
}
