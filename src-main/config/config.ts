import { join, resolve } from 'node:path';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { type DeviceName, deviceNameSchema, type OrtBinding, ortBindings } from '#shared/domain/device.ts';
import { type MemoryChoice, memoryPlanSchema } from '#shared/domain/memory-plan.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { SettingName } from '#shared/protocol/settings.ts';
import { type HubConfig, loadHubConfig } from './hub-config.ts';
import { parseArguments } from './parse-arguments.ts';

/** What the program is told from outside, read once. */
export interface Config {
  /** Address to listen on, `0.0.0.0` for every network. */
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Lifts the access key for other machines, and nothing else. */
  open: boolean;
  /** Names, beside those that are always right, that a `Host` header may hold. Lower case. */
  allowHosts: readonly string[];
  /** Origins, beside our own, whose pages may call. As a browser writes them: `https://example.org`. */
  allowOrigins: readonly string[];
  /** Everything but pictures: database, access key, thumbnails, compiled graphs. */
  dataDir: string;
  outputsDir: string;
  /** Settings that were decided here and that nobody can change while the program runs. */
  fixedSettings: readonly SettingName[];
  hub: HubConfig;
  /** A Python package index that the CUDA pack is fetched from, in place of its vendors' own addresses. */
  wheelIndex: URL | null;
  /** Checkpoint folders that go before the bundled ones. */
  checkpointDirs: readonly string[];
  /** `auto`, every card that can be used, or one device. */
  device: 'auto' | DeviceName;
  accuracy: 'exact' | 'fast';
  /** How the parts of a checkpoint share memory. */
  memory: MemoryChoice;
  binding: OrtBinding;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Write a fresh access key and end. */
  newKey: boolean;
  help: boolean;
}

const ADVICE = ' See --help for the options.';

const originSchema = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const clean = url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.pathname === '/' && url.search === '' && url.username === '';
  if (clean && !text.includes('#')) return url.origin;
  context.addIssue({ code: 'custom', message: 'an origin such as https://example.org, without a path' });
  return z.NEVER;
});

const hostNameSchema = z
  .string()
  .regex(/^[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?$/i, 'a host name without port, such as studio.example.org')
  .transform((name) => name.toLowerCase());

const wholeNumberSchema = z
  .string()
  .regex(/^\d{1,5}$/, 'a whole number from 0 to 65535')
  .transform(Number)
  .refine((port) => port <= 65_535, 'a whole number from 0 to 65535');

const indexSchema = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:')) return url;
  context.addIssue({ code: 'custom', message: 'the address of a Python package index, such as https://example.org/simple' });
  return z.NEVER;
});

const folderSchema = z.string().min(1, 'a folder');

function choice<const T extends readonly [string, ...string[]]>(values: T): z.ZodType<T[number]> {
  return z.enum(values, { error: () => `one of ${values.join(', ')}` });
}

const deviceSchema = z.string().transform((text, context): 'auto' | DeviceName => {
  const name = text.replace(/^directml\b/, 'dml').replace(/:0+(?=\d)/, ':');
  const device = deviceNameSchema.safeParse(name);
  if (name === 'auto') return name;
  if (device.success) return device.data;
  context.addIssue({ code: 'custom', message: 'auto, cpu, cuda, webgpu, directml or coreml, with a number for another card than the first (cuda:1)' });
  return z.NEVER;
});

const optionsSchema = z.object({
  host: z
    .string()
    .regex(/^[a-z0-9_.:%-]+$/i, 'an address or a host name')
    .default('0.0.0.0'),
  port: wholeNumberSchema.default(8004),
  'data-dir': folderSchema.optional(),
  'outputs-dir': folderSchema.optional(),
  open: z.boolean().default(false),
  'allow-host': z.array(hostNameSchema).default([]),
  'allow-origin': z.array(originSchema).default([]),
  checkpoint: z.array(folderSchema).default([]),
  'wheel-index': indexSchema.optional(),
  device: deviceSchema.optional(),
  accuracy: choice(['exact', 'fast']).default('fast'),
  memory: choice(['auto', ...memoryPlanSchema.options]).default('auto'),
  binding: choice(ortBindings).default('auto'),
  'log-level': choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  'new-key': z.boolean().default(false),
  help: z.boolean().default(false),
});

const argumentKinds = {
  host: { type: 'string' },
  port: { type: 'string' },
  'data-dir': { type: 'string' },
  'outputs-dir': { type: 'string' },
  open: { type: 'boolean' },
  'allow-host': { type: 'string', multiple: true },
  'allow-origin': { type: 'string', multiple: true },
  checkpoint: { type: 'string', multiple: true },
  'wheel-index': { type: 'string' },
  device: { type: 'string' },
  accuracy: { type: 'string' },
  memory: { type: 'string' },
  binding: { type: 'string' },
  'log-level': { type: 'string' },
  'new-key': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Record<keyof z.input<typeof optionsSchema>, { type: 'string' | 'boolean'; multiple?: true; short?: string }>;

type OptionName = keyof typeof argumentKinds;

export const usage = `Usage: bash start.sh [options]

  --host ADDRESS         address to listen on (0.0.0.0: every network)
  --port NUMBER          port (8004; 0 takes a free one)
  --data-dir DIR         folder for everything that is kept, pictures included
                         (without it: pictures in outputs/, the rest in data/)
  --outputs-dir DIR      folder for pictures alone; the settings cannot change it then
  --open                 let other machines in without the access key
  --allow-host NAME      a host name under which browsers may reach this server (repeatable)
  --allow-origin ORIGIN  a web page's origin that may call this server (repeatable)
  --checkpoint DIR       a checkpoint folder in Hugging Face layout (repeatable)
  --wheel-index URL      a Python package index to install the CUDA pack from
                         (without it: from ONNX Runtime's and NVIDIA's own sites)
  --device NAME          auto, cpu, cuda, webgpu, directml or coreml; cuda:1 is the
                         second card (auto: every NVIDIA card that can be used,
                         else cpu)
  --accuracy NAME        exact or fast (fast)
  --memory NAME          auto, resident, text_freed, text_on_cpu, in_turn or
                         denoiser_alone: which parts of a model are in memory at
                         once (auto: as many as fit into what is free)
  --binding NAME         c-api or node: how ONNX Runtime is called (auto: c-api
                         where it can be had)
  --log-level NAME       trace, debug, info, warn, error or silent (info)
  --new-key              write a fresh access key and end
  --help                 this text

Each option can also stand in the environment: --data-dir as ZIMAGE_DATA_DIR, lists with commas.
`;

/**
 * Reads the command line and, for what it leaves open, the environment (`ZIMAGE_PORT` for `--port`).
 * `rootDir` is the folder of start.sh. Throws `AppError` `bad_option`.
 */
export function loadConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>> = process.env, rootDir: string = programDir): Config {
  const parsed = optionsSchema.safeParse({ ...fromEnvironment(env), ...parseArguments(argv, argumentKinds, ADVICE) }, { reportInput: true });
  if (!parsed.success) throw badOption(parsed.error);
  const options = parsed.data;
  const [dataDir, outputsDir] = [options['data-dir'], options['outputs-dir']];
  const fixedSettings: SettingName[] = [];
  if (outputsDir !== undefined) fixedSettings.push('outputs_folder');
  if (options.device !== undefined) fixedSettings.push('device');
  return Object.freeze({
    host: options.host,
    port: options.port,
    open: options.open,
    allowHosts: Object.freeze(options['allow-host']),
    allowOrigins: Object.freeze(options['allow-origin']),
    dataDir: dataDir === undefined ? join(rootDir, 'data') : resolve(dataDir),
    outputsDir: resolve(outputsDir ?? join(dataDir ?? rootDir, 'outputs')),
    fixedSettings: Object.freeze(fixedSettings),
    hub: loadHubConfig(env),
    wheelIndex: options['wheel-index'] ?? null,
    checkpointDirs: Object.freeze(options.checkpoint.map((dir) => resolve(dir))),
    device: options.device ?? 'auto',
    accuracy: options.accuracy,
    memory: options.memory,
    binding: options.binding,
    logLevel: options['log-level'],
    newKey: options['new-key'],
    help: options.help,
  });
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(argumentKinds) as OptionName[]) {
    const text = env[environmentName(name)];
    if (text === undefined || text === '' || name === 'help' || name === 'new-key') continue;
    const kind: { type: string; multiple?: true } = argumentKinds[name];
    if (kind.multiple) values[name] = text.split(',').map((part) => part.trim());
    else if (kind.type === 'boolean') values[name] = booleanFrom(name, text);
    else values[name] = text;
  }
  return values;
}

function booleanFrom(name: OptionName, text: string): boolean {
  if (text === '1' || text === 'true') return true;
  if (text === '0' || text === 'false') return false;
  throw new AppError('bad_option', `${environmentName(name)} is ${JSON.stringify(text)}; it may be 1, true, 0 or false.`, { option: environmentName(name) });
}

function environmentName(name: OptionName): string {
  return `ZIMAGE_${name.toUpperCase().replaceAll('-', '_')}`;
}

function badOption(error: z.ZodError): AppError {
  const issue = error.issues[0];
  const option = `--${String(issue?.path[0])}`;
  const met = issue?.input === undefined ? '' : ` ${JSON.stringify(issue.input)}`;
  return new AppError('bad_option', `${option}${met} is not right: it must be ${issue?.message}.${ADVICE}`, { option });
}
