import { z } from 'zod';
import { providerNamed, providers } from '#main/inference/devices.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { openJsonFile } from '#main/lib/json-file.ts';
import { type Device, type DeviceName, type Devices, deviceParts, type Gpu, type ProviderName } from '#shared/domain/device.ts';
import { noCardReason, unsupportedReason } from './nvidia.ts';
import { type ProbeOptions, type ProbeOutcome, probeInProcess, probeOutcomeSchema } from './probe-in-process.ts';
import type { Precision } from './protocol.ts';

export interface DeviceProbesOptions extends ProbeOptions {
  /** Where results are remembered. */
  memoryPath: string;
  /** Version of ONNX Runtime; with another one everything is probed again. */
  ortVersion: string;
  detectGpus: () => Promise<Gpu[]>;
  /** Why the libraries that a provider needs beside ONNX Runtime are missing, or null. */
  missingFor: (provider: ProviderName) => string | null;
  platform: NodeJS.Platform;
  /** What images are made on now. */
  active: () => readonly Device['provider'][];
  log: { warn(data: object, message: string): void };
}

export interface DeviceProbes {
  /** Every device of this system, probed where it was not before. `again` forgets what is remembered. */
  list(again?: boolean): Promise<Devices>;
  /** NVIDIA cards, in the order in which `cuda:0`, `cuda:1` … count them. */
  gpus(): Promise<Gpu[]>;
  /** One device, probed where it was not before. An `exact` engine needs float32 alone. */
  check(device: DeviceName, accuracy: 'exact' | 'fast'): Promise<DeviceCheck>;
}

/** What is known of one device, and its NVIDIA card if it is one. */
export interface DeviceCheck {
  state: Device['state'];
  reason: string;
  gpu: Gpu | null;
  /** The fastest in which it works. */
  precision: Precision;
}

const memoryFields = { outcomes: z.record(z.string(), probeOutcomeSchema) };

/** What was refused or absent may be installed by the next time, and takes a second to find out; the rest is worth keeping. */
const REMEMBERED: ReadonlySet<ProbeOutcome['state']> = new Set(['works', 'wrong', 'crashed', 'silent']);

/** A provider is believed only after it computed something right in a process of its own. Probes run one after the other, since they share the machine. */
export function createDeviceProbes(options: DeviceProbesOptions): DeviceProbes {
  const { memoryPath, ortVersion, detectGpus, missingFor, platform, log } = options;
  const memory = openJsonFile(memoryPath, { fields: memoryFields, defaults: { outcomes: {} }, log });
  let lastProbe: Promise<unknown> = Promise.resolve();
  const listings = new Map<boolean, Promise<Devices>>();

  async function probeAll(again: boolean): Promise<Devices> {
    const gpus = await detectGpus();
    if (again) {
      await change((draft) => {
        draft.outcomes = {};
      });
    }
    const devices: Device[] = [];
    for (const { name, needs, knownFaults } of providers.filter(({ systems }) => systems.includes(platform))) {
      const { state, reason, milliseconds, probed_at } = await probePrecisions(name, gpus, 'fast');
      devices.push({ provider: name, state, reason, milliseconds, probed_at, active: options.active().includes(name), needs, known_faults: [...knownFaults] });
    }
    return { gpus, devices, onnxruntime: ortVersion };
  }

  /** The fastest precision that works, with what failed before it; else what the first one said that any precision needs. */
  async function probePrecisions(device: DeviceName, gpus: readonly Gpu[], accuracy: 'exact' | 'fast'): Promise<ProbeOutcome & { precision: Precision }> {
    const faults: string[] = [];
    for (const precision of precisionsOf(device, gpus, accuracy)) {
      const outcome = unavailableReason(device, gpus) ?? (await outcomeOf(device, precision, gpus));
      const { state, reason, operator, imageSeconds } = outcome;
      if (state === 'works') {
        const time = imageSeconds === null ? [] : [`An image of 1024 x 1024 by Z-Image-Turbo takes about ${showSeconds(imageSeconds)} at the measured rate.`];
        return { ...outcome, precision, reason: [...faults, reason, ...time].join(' ') };
      }
      faults.push(reason);
      // what fails in float32 would fail in any precision
      if (operator === null || operator.type === 'float32') return { ...outcome, precision, reason: faults.join(' ') };
    }
    throw new Error(`${device} has no precision to probe.`);
  }

  /** Remembered, or probed after the probes that run now: one of them may be the same. */
  function outcomeOf(device: DeviceName, precision: Precision, gpus: readonly Gpu[]): Promise<ProbeOutcome> {
    const key = `${keyOf(device, gpus)}, ${precision}`;
    const outcome = lastProbe.then(async () => {
      const known = memory.value.outcomes[key];
      if (known !== undefined) return known;
      const found = await probeInProcess(device, precision, options);
      if (REMEMBERED.has(found.state)) {
        await change((draft) => {
          draft.outcomes[key] = found;
        });
      }
      return found;
    });
    lastProbe = outcome.catch(() => {}); // the caller hears of it
    return outcome;
  }

  async function change(edit: (draft: { outcomes: Record<string, ProbeOutcome> }) => void): Promise<void> {
    try {
      await memory.change(edit);
    } catch (cause) {
      log.warn({ path: memoryPath, cause: errnoCode(cause) }, 'the results of device probes cannot be remembered');
    }
  }

  async function check(device: DeviceName, accuracy: 'exact' | 'fast'): Promise<DeviceCheck> {
    const { provider, card } = deviceParts(device);
    const { systems } = providerNamed(provider);
    const absent = (reason: string): DeviceCheck => ({ state: 'absent', reason, gpu: null, precision: 'fp32' });
    if (!systems.includes(platform)) return absent(`There is no ${provider} on ${platform}; it is for ${systems.join(', ')}.`);
    const gpus = await detectGpus();
    const gpu = provider === 'cuda' ? (gpus[card] ?? null) : null;
    if (provider === 'cuda' && gpus.length > 0 && gpu === null) return absent(`There is no NVIDIA card ${card}; the last one is ${gpus.length - 1}.`);
    const { state, reason, precision } = await probePrecisions(device, gpus, accuracy);
    return { state, reason, gpu, precision };
  }

  /** What a result depends on: another driver, card or runtime is probed again. */
  function keyOf(device: DeviceName, gpus: readonly Gpu[]): string {
    const { provider, card } = deviceParts(device);
    const cards = gpus.map((gpu) => `${gpu.name} ${gpu.driver}`).join(', ');
    return `${provider}:${card}, onnxruntime ${ortVersion} by ${options.binding}, ${platform}, ${cards === '' ? 'no NVIDIA card' : cards}`;
  }

  /**
   * Why a device is not even tried, also after it once worked: a card can be taken out, a library removed. A provider without a number stands for its first
   * card, and `cuda` is too old only where every card is.
   */
  function unavailableReason(device: DeviceName, gpus: readonly Gpu[]): ProbeOutcome | null {
    const { provider, card } = deviceParts(device);
    if (provider === 'cuda') {
      if (gpus.length === 0) return unprobed('absent', noCardReason());
      const meant = device === provider ? gpus : gpus.slice(card, card + 1);
      const reasons = meant.map((gpu) => unsupportedReason(gpu));
      if (reasons.every((reason) => reason !== null)) return unprobed('too_old', reasons.join(' '));
    }
    const missing = missingFor(provider);
    return missing === null ? null : unprobed('absent', missing);
  }

  return {
    /** A listing that runs answers others of its kind; one that forgets waits for the one before it and probes again. */
    list(again = false) {
      const running = listings.get(again);
      if (running !== undefined) return running;
      const before = again ? listings.get(false) : undefined;
      const listing = Promise.resolve(before?.catch(() => {}))
        .then(() => probeAll(again))
        .finally(() => listings.delete(again));
      listings.set(again, listing);
      return listing;
    },
    gpus: detectGpus,
    check,
  };
}

function unprobed(state: ProbeOutcome['state'], reason: string): ProbeOutcome {
  return { state, reason, operator: null, milliseconds: null, imageSeconds: null, probed_at: null };
}

/** From the fastest to the safest. Cards from Ampere (8.0) on have bfloat16; before that it is emulated, if there at all. */
function precisionsOf(device: DeviceName, gpus: readonly Gpu[], accuracy: 'exact' | 'fast'): readonly Precision[] {
  const { provider, card } = deviceParts(device);
  if (provider === 'cpu' || accuracy === 'exact') return ['fp32'];
  const capability = provider === 'cuda' ? Number(gpus[card]?.compute_capability ?? 0) : 0;
  return capability >= 8 ? ['bf16', 'fp16', 'fp32'] : ['fp16', 'fp32'];
}

function showSeconds(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
