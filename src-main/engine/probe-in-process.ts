import { z } from 'zod';
import { providerNamed } from '#main/inference/devices.ts';
import { createRpcClient } from '#main/lib/rpc.ts';
import { type DeviceName, deviceParts, deviceStateSchema, type OrtBinding } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { SpawnEngine } from './engine-process.ts';
import { engineProtocol, type ProbeResult } from './protocol.ts';

export const probeOutcomeSchema = z.object({
  state: deviceStateSchema,
  reason: z.string(),
  milliseconds: z.number().nullable(),
  /** Unix seconds. */
  probed_at: z.number().nullable(),
});
export type ProbeOutcome = z.infer<typeof probeOutcomeSchema>;

export interface ProbeOptions {
  /** Starts a process that is ended after one probe. */
  spawn: SpawnEngine;
  threads: number;
  /** How ONNX Runtime is called, as the engine would call it. */
  binding: OrtBinding;
  /** Unix seconds. */
  now?: () => number;
  timeoutMs?: number;
}

/** The first start of a driver may compile its shaders. */
const TIMEOUT_MS = 90_000;
const KEPT_LINES = 40;

/** Lets a process of its own compute something on a device: drivers crash, hang and return wrong numbers. */
export async function probeInProcess(device: DeviceName, options: ProbeOptions): Promise<ProbeOutcome> {
  const { spawn, threads, binding, timeoutMs = TIMEOUT_MS, now = () => Date.now() / 1000 } = options;
  const { provider } = deviceParts(device);
  const child = spawn(provider);
  const lines: string[] = [];
  const probedAt = now();
  const failed = (state: ProbeOutcome['state'], reason: string): ProbeOutcome => ({ state, reason, milliseconds: null, probed_at: probedAt });
  let timer: NodeJS.Timeout | undefined;
  const outcome = await new Promise<ProbeOutcome>((resolve) => {
    timer = setTimeout(() => resolve(failed('silent', `It did not answer within ${timeoutMs / 1000} s.`)), timeoutMs);
    child.onOutput((line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
    });
    child.onExit(({ code, signal, error }) => {
      const how = error?.message ?? signal ?? `exit code ${code}`;
      resolve(failed('crashed', `It took its process down (${how})${lines.length === 0 ? '' : `: ${lastWords(lines)}`}.`));
    });
    const client = createRpcClient(engineProtocol, (message) => child.send(message), { heartbeat: () => {}, fatal: () => {} });
    child.onMessage((message) => {
      try {
        client.receive(message);
      } catch {
        resolve(failed('crashed', 'Its process sent a message that breaks the protocol.'));
      }
    });
    client.call('probe', { device, threads, binding }).then(
      (result) => resolve(verdict(result, providerNamed(provider).tolerance, probedAt)),
      (thrown: unknown) => resolve(failed('refused', refusalOf(thrown, lines))),
    );
  });
  clearTimeout(timer);
  child.kill();
  return outcome;
}

function verdict({ milliseconds, error }: ProbeResult, tolerance: number, probedAt: number): ProbeOutcome {
  const rounded = Math.round(milliseconds * 100) / 100;
  if (error !== null && error <= tolerance) return { state: 'works', reason: 'Its numbers are right.', milliseconds: rounded, probed_at: probedAt };
  const found = error === null ? 'NaN values' : `numbers that are off by ${(error * 100).toPrecision(2)} % of the largest`;
  const reason = `A convolution and a matrix product gave ${found}; ${tolerance * 100} % is allowed.`;
  return { state: 'wrong', reason, milliseconds: rounded, probed_at: probedAt };
}

/**
 * ONNX Runtime puts the location in its own sources and the failed condition before its message; which library is missing is in its output alone, and
 * CUDA's own message follows the signature of the function that called it.
 */
function refusalOf(thrown: unknown, lines: readonly string[]): string {
  const reason = reasonOf(thrown);
  const missing = lines.map((line) => /Failed to load library .*? with error: (?:.*\/)?(.+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  const cuda = /CUDA failure \d+: [^;]+/.exec(reason)?.[0];
  const said = (cuda ?? reason.split(' was false. ').at(-1) ?? reason).trim().slice(0, 400);
  return missing === undefined ? said : `${said} (${missing.trim().slice(0, 200)})`;
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof AppError && thrown.code === 'engine_failed') return (thrown as AppError<'engine_failed'>).data.reason ?? thrown.message;
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function lastWords(lines: readonly string[]): string {
  return lines.slice(-3).join(' / ').slice(0, 400);
}
