import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { providerNamed, providers } from '#main/inference/devices.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import {
  type Device,
  type DeviceName,
  type Devices,
  deviceParts,
  deviceStateSchema,
  type Gpu,
  type OrtBinding,
  type ProviderName,
} from '#shared/domain/device.ts';
import { eventSchema } from './channel.ts';
import type { SpawnEngine } from './engine-process.ts';
import { cudaObstacle } from './nvidia.ts';

export interface DeviceProbesOptions {
  /** Starts a process that is thrown away after one probe. */
  spawn: SpawnEngine;
  /** Where results are remembered. */
  memoryPath: string;
  /** Version of ONNX Runtime; with another one everything is probed again. */
  ortVersion: string;
  detectGpus: () => Promise<Gpu[]>;
  /** Why the libraries that a provider needs beside ONNX Runtime are not there, or null. */
  missingFor: (provider: ProviderName) => string | null;
  platform: NodeJS.Platform;
  threads: number;
  /** How ONNX Runtime is called, as the engine would call it. */
  binding: OrtBinding;
  /** What pictures are made on now. */
  active: () => readonly Device['provider'][];
  log: { warn(data: object, message: string): void };
  /** Unix seconds. */
  now?: () => number;
  timeoutMs?: number;
}

export interface DeviceProbes {
  /** Every device of this system, probed where it was not before; one after the other, since they share the machine. `again` forgets what is remembered. */
  list(again?: boolean): Promise<Devices>;
  /** NVIDIA cards, in the order in which `cuda:0`, `cuda:1` … count them. */
  gpus(): Promise<Gpu[]>;
  /** One device, probed where it was not before. */
  check(device: DeviceName): Promise<DeviceCheck>;
}

/** What is known of one device, and the NVIDIA card that it is, if it is one. */
export interface DeviceCheck {
  state: Device['state'];
  reason: string;
  gpu: Gpu | null;
}

const outcomeSchema = z.object({ state: deviceStateSchema, reason: z.string(), milliseconds: z.number().nullable(), probed_at: z.number().nullable() });
type Outcome = z.infer<typeof outcomeSchema>;
const memorySchema = z.object({ version: z.literal(1), outcomes: z.record(z.string(), outcomeSchema) });

/** The first start of a driver may compile its shaders. */
const TIMEOUT_MS = 90_000;
const KEPT_LINES = 40;

/** A provider is believed only after it computed something right in a process of its own: drivers crash, hang and give wrong numbers. */
export function createDeviceProbes(options: DeviceProbesOptions): DeviceProbes {
  const { memoryPath, ortVersion, detectGpus, missingFor, platform, log } = options;
  let running: Promise<Devices> | null = null;

  async function probeAll(again: boolean): Promise<Devices> {
    const gpus = await detectGpus();
    const known = again ? {} : await loadMemory(memoryPath);
    const outcomes: Record<string, Outcome> = {};
    const devices: Device[] = [];
    for (const provider of providers.filter(({ systems }) => systems.includes(platform))) {
      const key = keyOf(provider.name, gpus);
      const outcome = obstacleTo(provider.name, gpus) ?? known[key] ?? (await probe(provider.name, options));
      outcomes[key] = outcome;
      devices.push({
        provider: provider.name,
        ...outcome,
        active: options.active().includes(provider.name),
        needs: provider.needs,
        known_faults: [...provider.knownFaults],
      });
    }
    await remember(outcomes);
    return { gpus, devices, onnxruntime: ortVersion };
  }

  async function checkOne(device: DeviceName): Promise<DeviceCheck> {
    const { provider, card } = deviceParts(device);
    const { systems } = providerNamed(provider);
    if (!systems.includes(platform)) return { ...unprobed('absent', `There is no ${provider} on ${platform}; it is for ${systems.join(', ')}.`), gpu: null };
    const gpus = provider === 'cuda' ? await detectGpus() : [];
    const gpu = gpus[card] ?? null;
    if (provider === 'cuda' && gpus.length > 0 && gpu === null) {
      return { ...unprobed('absent', `There is no NVIDIA card ${card}; the last one is ${gpus.length - 1}.`), gpu };
    }
    const known = await loadMemory(memoryPath);
    const key = keyOf(device, gpus);
    const obstacle = obstacleTo(device, gpus);
    const outcome = obstacle ?? known[key] ?? (await probe(device, options));
    if (obstacle === null && known[key] === undefined) await remember({ ...known, [key]: outcome });
    return { state: outcome.state, reason: outcome.reason, gpu };
  }

  /** What a result depends on: another driver, card or runtime is another matter. */
  function keyOf(name: DeviceName, gpus: readonly Gpu[]): string {
    const cards = gpus.map((gpu) => `${gpu.name} ${gpu.driver}`).join(', ');
    return `${name}, onnxruntime ${ortVersion} by ${options.binding}, ${platform}, ${cards === '' ? 'no NVIDIA card' : cards}`;
  }

  /**
   * What speaks against a device before it is tried, also after it once worked: a card can be taken out, a library removed. A provider without a number stands
   * for its first card, and for `cuda` is too old only where every card is.
   */
  function obstacleTo(device: DeviceName, gpus: readonly Gpu[]): Outcome | null {
    const { provider, card } = deviceParts(device);
    if (provider === 'cuda') {
      if (gpus.length === 0) return unprobed('absent', 'There is no NVIDIA GPU, or its driver is not installed: none answers.');
      const meant = device === provider ? gpus : gpus.slice(card, card + 1);
      const obstacles = meant.map(cudaObstacle);
      if (obstacles.every((obstacle) => obstacle !== null)) return unprobed('too_old', obstacles.join(' '));
    }
    const missing = missingFor(provider);
    return missing === null ? null : unprobed('absent', missing);
  }

  /** What was refused or was not there may be installed meanwhile, and is found out in a second; the rest is worth keeping. */
  async function remember(all: Record<string, Outcome>): Promise<void> {
    const outcomes = Object.fromEntries(Object.entries(all).filter(([, { state }]) => state !== 'refused' && state !== 'absent' && state !== 'too_old'));
    try {
      await mkdir(dirname(memoryPath), { recursive: true });
      await writeFileDurably(`${memoryPath}.new`, new TextEncoder().encode(`${JSON.stringify({ version: 1, outcomes }, null, 1)}\n`));
      await renameDurably(`${memoryPath}.new`, memoryPath);
    } catch (cause) {
      log.warn({ path: memoryPath, cause: errnoCode(cause) }, 'what devices can do cannot be remembered');
    }
  }

  return {
    list(again = false) {
      running ??= probeAll(again).finally(() => {
        running = null;
      });
      return running;
    },
    gpus: detectGpus,
    check: checkOne,
  };
}

function unprobed(state: Outcome['state'], reason: string): Outcome {
  return { state, reason, milliseconds: null, probed_at: null };
}

async function probe(device: DeviceName, options: DeviceProbesOptions): Promise<Outcome> {
  const { spawn, threads, binding, timeoutMs = TIMEOUT_MS, now = () => Date.now() / 1000 } = options;
  const { provider } = deviceParts(device);
  const { tolerance } = providerNamed(provider);
  const child = spawn(provider);
  const lines: string[] = [];
  const at = now();
  const failed = (state: Outcome['state'], reason: string): Outcome => ({ state, reason, milliseconds: null, probed_at: at });
  let timer: NodeJS.Timeout | undefined;
  const outcome = await new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve(failed('silent', `It did not answer within ${timeoutMs / 1000} s.`)), timeoutMs);
    child.onOutput((line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
    });
    child.onExit(({ code, signal, error }) => {
      const how = error?.message ?? signal ?? `exit code ${code}`;
      resolve(failed('crashed', `It took its process down (${how})${lines.length === 0 ? '' : `: ${lastWords(lines)}`}.`));
    });
    child.onMessage((message) => {
      const event = eventSchema.safeParse(message);
      if (!event.success || event.data.type !== 'probed') return;
      const { result } = event.data;
      if ('refusal' in result) resolve(failed('refused', whatWasSaid(result.refusal, lines)));
      else resolve(verdict(result, tolerance, at));
    });
    child.send({ type: 'probe', device, threads, binding });
  });
  clearTimeout(timer);
  child.kill();
  return outcome;
}

function verdict({ milliseconds, error }: { milliseconds: number; error: number | null }, tolerance: number, at: number): Outcome {
  const rounded = Math.round(milliseconds * 100) / 100;
  if (error !== null && error <= tolerance) return { state: 'works', reason: 'Its numbers are right.', milliseconds: rounded, probed_at: at };
  const met = error === null ? 'numbers that are none' : `numbers that are off by ${(error * 100).toPrecision(2)} % of the largest`;
  return { state: 'wrong', reason: `A convolution and a matrix product gave ${met}; ${tolerance * 100} % is allowed.`, milliseconds: rounded, probed_at: at };
}

/**
 * ONNX Runtime puts the place in its own sources and the condition that failed there before what it has to say; which library is missing stands in its
 * output alone, and what CUDA says behind the signature of the function that called it.
 */
function whatWasSaid(refusal: string, lines: readonly string[]): string {
  const [, reason = refusal] = /^ONNX Runtime could not run \S+: (.*)$/s.exec(refusal) ?? [];
  const missing = lines.map((line) => /Failed to load library .*? with error: (?:.*\/)?(.+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  const cuda = /CUDA failure \d+: [^;]+/.exec(reason)?.[0];
  const said = (cuda ?? reason.split(' was false. ').at(-1) ?? reason).trim().slice(0, 400);
  return missing === undefined ? said : `${said} (${missing.trim().slice(0, 200)})`;
}

function lastWords(lines: readonly string[]): string {
  return lines.slice(-3).join(' / ').slice(0, 400);
}

async function loadMemory(path: string): Promise<Record<string, Outcome>> {
  try {
    return memorySchema.parse(JSON.parse(await readFile(path, 'utf8'))).outcomes;
  } catch {
    return {}; // there is none yet, or it is of another version: probing costs seconds
  }
}
