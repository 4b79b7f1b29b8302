import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Engine } from '#main/engine/engine.ts';
import { createJobs } from '#main/jobs/durable-jobs.ts';
import type { Jobs, JobsConnection, JobsOptions } from '#main/jobs/jobs.ts';
import { type ClientMessage, type CreateJob, clientMessageSchema, type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';
import { FixedInputs } from '../fakes/fixed-inputs.ts';
import { FixedRegistry } from '../fakes/fixed-registry.ts';
import { HandClock } from './hand-clock.ts';

export { HandClock } from './hand-clock.ts';

/** For tests of the jobs room: jobs with their own data folder, a manual clock, and clients that record their messages. */

export class TestClient {
  readonly received: ServerMessage[] = [];
  readonly connection: JobsConnection;
  #waiters: (() => void)[] = [];

  constructor(jobs: Jobs, clientId: string | null) {
    this.connection = jobs.connect({ clientId }, (message) => {
      this.received.push(serverMessageSchema.parse(JSON.parse(JSON.stringify(message))));
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }

  /** Rejects if it is refused. */
  async create(prompt: string, requestId?: string, more: Record<string, unknown> = {}): Promise<string> {
    const refused: unknown[] = [];
    await this.connection.create(createMessage(prompt, requestId, more), (reason) => refused.push(reason));
    for (const reason of refused) throw reason;
    const jobId = this.statuses().at(-1)?.job_id;
    if (jobId === undefined) throw new Error('create was not answered');
    return jobId;
  }

  statuses() {
    return this.received.filter((message) => message.type === 'job_status');
  }

  /** `status` or `status request_id`, in their order. */
  story(jobId?: string): string[] {
    return this.statuses()
      .filter((message) => jobId === undefined || message.job_id === jobId)
      .map(({ status, request_id }) => (request_id === undefined ? status : `${status} ${request_id}`));
  }

  progress() {
    return this.received.filter((message) => message.type === 'job_progress');
  }

  /** Resolves as soon as the last status of the job is this one. */
  async until(status: string, jobId?: string): Promise<void> {
    for (;;) {
      const last = this.statuses()
        .filter((message) => jobId === undefined || message.job_id === jobId)
        .at(-1);
      if (last?.status === status) return;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }
}

function createMessage(prompt: string, requestId?: string, more: Record<string, unknown> = {}): CreateJob {
  const message: ClientMessage = clientMessageSchema.parse({
    type: 'create_job',
    task_type: 'text_to_image',
    request_id: requestId,
    params: { prompt, width: 256, height: 256, ...more },
  });
  if (message.type !== 'create_job') throw new Error('not a create_job');
  return message;
}

export interface TestRoom {
  dataDir: string;
  outputsDir: string;
  clock: HandClock;
  registry: FixedRegistry;
  inputs: FixedInputs;
  /** The logged errors. */
  errors: string[];
  open(engine: Engine, options?: Partial<JobsOptions>): Promise<Jobs>;
}

export function createTestRoom(): TestRoom {
  const dir = mkdtempSync(join(tmpdir(), 'zimage-jobs-'));
  const [dataDir, outputsDir] = [join(dir, 'data'), join(dir, 'outputs')];
  const clock = new HandClock();
  const registry = new FixedRegistry();
  const inputs = new FixedInputs();
  const errors: string[] = [];
  const log = { info: () => {}, warn: () => {}, error: (_: Record<string, unknown>, text: string) => void errors.push(text) };
  const opened: Jobs[] = [];
  onTestFinished(async () => {
    for (const jobs of opened) await jobs.close('now');
    rmSync(dir, { recursive: true, force: true });
  });
  const open = async (engine: Engine, options: Partial<JobsOptions> = {}) => {
    const jobs = await createJobs({ dataDir, outputsDir, engine, registry, inputs, programVersion: '1.2.3', log, clock, ...options });
    opened.push(jobs);
    return jobs;
  };
  return { dataDir, outputsDir, clock, registry, inputs, errors, open };
}

/** Runs all pending callbacks. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}
