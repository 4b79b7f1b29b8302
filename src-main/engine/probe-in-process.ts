import { z } from 'zod';
import { createRpcClient } from '#main/lib/rpc.ts';
import { type DeviceName, deviceParts, deviceStateSchema, type OrtBinding } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { SpawnEngine } from './engine-process.ts';
import { engineProtocol, type Precision, type ProbedOperator, type ProbeResult, probedOperatorSchema } from './protocol.ts';

export const probeOutcomeSchema = z.object({
  state: deviceStateSchema,
  reason: z.string(),
  /** The operator that failed, or null. */
  operator: probedOperatorSchema.nullable(),
  milliseconds: z.number().nullable(),
  /** What an image of 1024 x 1024 with 8 forwards of Z-Image-Turbo takes at the rate that was measured, or null. */
  imageSeconds: z.number().nullable(),
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
/** Operations of the eight forwards of an image, and how much longer a step takes than its products at their best rate. */
const IMAGE_FLOPS = 8 * 56.6e12;
const OVERHEAD = 1.5;

/** Lets a process of its own run the operators of a checkpoint on a device: drivers crash, hang and return wrong numbers. */
export async function probeInProcess(device: DeviceName, precision: Precision, options: ProbeOptions): Promise<ProbeOutcome> {
  const { spawn, threads, binding, timeoutMs = TIMEOUT_MS, now = () => Date.now() / 1000 } = options;
  const child = spawn(deviceParts(device).provider);
  const lines: string[] = [];
  const probedAt = now();
  let running: ProbedOperator | null = null;
  const failed = (state: ProbeOutcome['state'], reason: string): ProbeOutcome => {
    const sentence = running === null ? reason : `${showOperator(running)} failed: ${reason.replace(/\.$/, '')}.`;
    return { state, reason: sentence, operator: running, milliseconds: null, imageSeconds: null, probed_at: probedAt };
  };
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
    const onOperator = (operator: ProbedOperator) => {
      running = operator;
    };
    client.call('probe', { device, precision, threads, binding }, { operator: onOperator }).then(
      (result) => resolve(verdict(result, probedAt)),
      (thrown: unknown) => resolve(failed('refused', refusalOf(thrown, lines))),
    );
  });
  clearTimeout(timer);
  child.kill();
  return outcome;
}

function verdict({ operator, error, tolerance, milliseconds, productRate }: ProbeResult, probedAt: number): ProbeOutcome {
  const rounded = Math.round(milliseconds * 100) / 100;
  if (error !== null && error <= tolerance) {
    const imageSeconds = Number(((OVERHEAD * IMAGE_FLOPS) / productRate).toPrecision(2));
    return { state: 'works', reason: 'Its numbers are right.', operator: null, milliseconds: rounded, imageSeconds, probed_at: probedAt };
  }
  const found = error === null ? 'NaN values' : `numbers that are off by ${(error * 100).toPrecision(2)} % of the largest`;
  const reason = `${showOperator(operator)} gave ${found}; ${tolerance * 100} % is allowed.`;
  return { state: 'wrong', reason, operator, milliseconds: null, imageSeconds: null, probed_at: probedAt };
}

function showOperator({ name, type }: ProbedOperator): string {
  return `The operator ${name} in ${type}`;
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
