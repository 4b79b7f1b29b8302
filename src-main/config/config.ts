import { join, resolve } from 'node:path';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';
import { type DeviceName, deviceNameSchema, type OrtBinding, ortBindings } from '#shared/domain/device.ts';
import { type MemoryChoice, memoryPlanSchema } from '#shared/domain/memory-plan.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { SettingName } from '#shared/protocol/settings.ts';
import { expandFolder } from './expand-folder.ts';
import { type HubConfig, loadHubConfig } from './hub-config.ts';
import { type Environment, environmentName, readOptions } from './read-options.ts';

/** What command line and environment set, read once. */
export interface Config {
  /** Address to listen on, `0.0.0.0` for every network. */
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Other machines need no access key. */
  open: boolean;
  /** Programs of this machine need the access key too. */
  requireKey: boolean;
  /** Further names that a `Host` header may hold. Lower case. */
  allowHosts: readonly string[];
  /** Further origins whose pages may call, as a browser writes them: `https://example.org`. */
  allowOrigins: readonly string[];
  /** Everything but images: database, access key, thumbnails, compiled graphs. */
  dataDir: string;
  outputsDir: string;
  /** Settings that the command line or the environment fixes while the program runs. */
  fixedSettings: readonly SettingName[];
  hub: HubConfig;
  /** A Python package index to download the CUDA pack from, in place of its vendors' own addresses. An error where the variable holds no address. */
  wheelIndex: URL | AppError | null;
  /** Checkpoint folders that are preferred to the bundled ones. */
  checkpointDirs: readonly string[];
  /** `auto`, every card that can be used, or one device. */
  device: 'auto' | DeviceName;
  accuracy: 'exact' | 'fast';
  /** How the parts of a checkpoint share memory. */
  memory: MemoryChoice;
  binding: OrtBinding;
  /** Of the model threads, beside other programs. Null leaves it to the shell: `normal` for a server, `low` for the desktop app. */
  priority: 'normal' | 'low' | null;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Write a new access key and exit. */
  newKey: boolean;
  help: boolean;
  /** Sentences for the log about values that are ignored. */
  notices: readonly string[];
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

export const optionsSchema = z.object({
  host: z
    .string()
    .regex(/^[a-z0-9_.:%-]+$/i, 'an address or a host name')
    .default('0.0.0.0'),
  port: wholeNumberSchema.default(8004),
  'data-dir': folderSchema.optional(),
  'outputs-dir': folderSchema.optional(),
  open: z.boolean().default(false),
  'require-key': z.boolean().default(false),
  'allow-host': z.array(hostNameSchema).default([]),
  'allow-origin': z.array(originSchema).default([]),
  checkpoint: z.array(folderSchema).default([]),
  'wheel-index': indexSchema.optional(),
  device: deviceSchema.optional(),
  accuracy: choice(['exact', 'fast']).default('fast'),
  memory: choice(['auto', ...memoryPlanSchema.options]).default('auto'),
  binding: choice(ortBindings).default('auto'),
  priority: choice(['normal', 'low']).optional(),
  'log-level': choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  'new-key': z.boolean().default(false),
  help: z.boolean().default(false),
});

export type OptionName = keyof typeof optionsSchema.shape;

export const usage = `Usage: bash start.sh [options]

  --host ADDRESS         address to listen on (0.0.0.0: every network)
  --port NUMBER          port (8004; 0 takes a free one)
  --data-dir DIR         folder for all data, images included
                         (without it: images in outputs/, the rest in data/)
  --outputs-dir DIR      folder for images only; the settings cannot change it then
  --open                 let other machines in without the access key
  --require-key          ask programs on this machine for the access key too
  --allow-host NAME      a host name under which browsers may reach this server (repeatable)
  --allow-origin ORIGIN  a web page's origin that may call this server (repeatable)
  --checkpoint DIR       a checkpoint folder in Hugging Face layout (repeatable)
  --wheel-index URL      a Python package index to install the CUDA pack from
                         (without it: from ONNX Runtime's and NVIDIA's own sites)
  --device NAME          auto, cpu, cuda, webgpu, directml or coreml; cuda:1 is the
                         second card (auto: every usable NVIDIA card, else cpu)
  --accuracy NAME        exact or fast (fast)
  --memory NAME          auto, resident, text_freed, text_on_cpu, in_turn or
                         denoiser_alone: which parts of a model are in memory at
                         once (auto: as many as fit into free memory)
  --binding NAME         c-api or node: how ONNX Runtime is called (auto: c-api
                         where available)
  --priority NAME        normal or low: how models share the processor with other
                         programs (normal; low in the desktop app)
  --log-level NAME       trace, debug, info, warn, error or silent (info)
  --new-key              write a new access key and exit
  --help                 show this text

Environment variables set the same options: ZIMAGE_DATA_DIR for --data-dir, lists with commas.
Folders may start with ~ and hold $VARIABLES.
`;

/** Not from the environment: what only makes sense for one start, and what is parsed when it is used. */
const commandLineOnly: readonly string[] = ['help', 'new-key', 'wheel-index'] satisfies OptionName[];
const allOptions = Object.keys(optionsSchema.shape) as OptionName[];

/**
 * Reads the command line and, for what it leaves open, the environment (`ZIMAGE_PORT` for `--port`), of which only the variables of `used` options count.
 * `rootDir` is the folder of start.sh. Throws `AppError` `bad_option`.
 */
export function loadConfig(
  argv: readonly string[],
  env: Environment = process.env,
  rootDir: string = programDir,
  used: readonly OptionName[] = allOptions,
): Config {
  const notices: string[] = [];
  const isForOthers = /^[a-z]+:\/\//.test(env['ZIMAGE_PORT'] ?? '');
  if (isForOthers) notices.push(`ZIMAGE_PORT is ${env['ZIMAGE_PORT']}: Kubernetes sets it for a service named zimage. It is ignored; --port sets the port.`);
  const fromEnvironment = used.filter((name) => !commandLineOnly.includes(name) && !(isForOthers && name === 'port'));
  const options = readOptions(optionsSchema, { argv, env, fromEnvironment, advice: ADVICE });
  if (options.open && options['require-key']) {
    throw new AppError('bad_option', `--open and --require-key contradict each other; use one of them.${ADVICE}`, { option: '--open' });
  }
  const folder = (text: string | undefined): string | undefined => (text === undefined ? undefined : expandFolder(text, env));
  const [dataDir, outputsDir] = [folder(options['data-dir']), folder(options['outputs-dir'])];
  const fixedSettings: SettingName[] = [];
  if (outputsDir !== undefined) fixedSettings.push('outputs_folder');
  if (options.device !== undefined) fixedSettings.push('device');
  return Object.freeze({
    host: options.host,
    port: options.port,
    open: options.open,
    requireKey: options['require-key'],
    allowHosts: Object.freeze(options['allow-host']),
    allowOrigins: Object.freeze(options['allow-origin']),
    dataDir: dataDir ?? join(rootDir, 'data'),
    outputsDir: outputsDir ?? resolve(dataDir ?? rootDir, 'outputs'),
    fixedSettings: Object.freeze(fixedSettings),
    hub: loadHubConfig(env, dataDir ?? join(rootDir, 'data'), notices),
    wheelIndex: options['wheel-index'] ?? wheelIndexOf(env),
    checkpointDirs: Object.freeze(options.checkpoint.map((dir) => expandFolder(dir, env))),
    device: options.device ?? 'auto',
    accuracy: options.accuracy,
    memory: options.memory,
    binding: options.binding,
    priority: options.priority ?? null,
    logLevel: options['log-level'],
    newKey: options['new-key'],
    help: options.help,
    notices: Object.freeze(notices),
  });
}

function wheelIndexOf(env: Environment): URL | AppError | null {
  const name = environmentName('wheel-index');
  const text = env[name]?.trim() ?? '';
  if (text === '') return null;
  const parsed = indexSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  return new AppError('bad_option', `${name} is ${JSON.stringify(text)}; it must be ${parsed.error.issues[0]?.message}.`, { option: name });
}
