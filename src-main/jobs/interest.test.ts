import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobStatusName } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { SteppedEngine, type SteppedTask } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, turns } from '../../tests/support/jobs-room.ts';
import type { Jobs } from './jobs.ts';

/**
 * The rules of interest, as small as they can be said: a job has a state and, for each client, whether it is live, gave up or is over. Every command is
 * done to the model and to the real thing; what the clients see must be the same after each.
 */
type Stand = 'live' | 'cancelled' | 'over';
interface ModelJob {
  status: JobStatusName;
  stands: Map<string, Stand>;
}

const CLIENTS = ['a', 'b', 'c'];
const PROMPTS = ['x', 'y', 'z'];
/** One less than there are prompts, so that at most one job waits and taking turns, which has a test of its own, plays no part. */
const RUNNING = 2;

const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('create' as const), client: fc.constantFrom(...CLIENTS), prompt: fc.constantFrom(...PROMPTS) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('cancel' as const), client: fc.constantFrom(...CLIENTS), prompt: fc.constantFrom(...PROMPTS) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('finish' as const, 'fail' as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

class Model {
  readonly jobs = new Map<string, ModelJob>();
  readonly waiting: string[] = [];

  create(client: string, prompt: string): void {
    let job = this.jobs.get(prompt);
    if (job === undefined) {
      job = { status: 'pending', stands: new Map() };
      this.jobs.set(prompt, job);
      this.waiting.push(prompt);
    } else if (job.status === 'failed' || job.status === 'cancelled') {
      job.status = 'pending';
      this.waiting.push(prompt);
    }
    job.stands.set(client, job.status === 'completed' ? 'over' : 'live');
    this.#start();
  }

  /** The code of the refusal, or null. */
  cancel(client: string, prompt: string): string | null {
    const job = this.jobs.get(prompt);
    if (job === undefined) return 'unknown_job';
    const own = job.stands.get(client);
    if (own === 'cancelled' || (job.status !== 'pending' && job.status !== 'processing')) return 'not_cancellable';
    const others = [...job.stands].filter(([other, stand]) => other !== client && stand === 'live').length;
    if (others > 0 && own !== 'live') return 'job_of_others';
    if (others === 0) this.#end(prompt, job, 'cancelled');
    if (own !== undefined) job.stands.set(client, 'cancelled');
    this.#start();
    return null;
  }

  finish(prompt: string, status: 'generated' | 'completed' | 'failed'): void {
    const job = this.jobs.get(prompt);
    if (job === undefined) throw new Error('the engine works at a job that the model does not know');
    if (status === 'generated') job.status = status;
    else this.#end(prompt, job, status);
    this.#start();
  }

  view(client: string): [string, JobStatusName][] {
    return [...this.jobs].map(([prompt, { status, stands }]) => [prompt, stands.get(client) === 'cancelled' ? 'cancelled' : status]);
  }

  #end(prompt: string, job: ModelJob, status: JobStatusName): void {
    job.status = status;
    for (const [client, stand] of job.stands) if (stand === 'live') job.stands.set(client, 'over');
    if (this.waiting.includes(prompt)) this.waiting.splice(this.waiting.indexOf(prompt), 1);
  }

  #start(): void {
    while ([...this.jobs.values()].filter(({ status }) => status === 'processing' || status === 'generated').length < RUNNING) {
      const next = this.jobs.get(this.waiting.shift() ?? '');
      if (next === undefined) return;
      next.status = 'processing';
    }
  }
}

/** The task that has the model, as far as the engine was given one that was neither ended nor aborted. */
function taskAtWork(engine: SteppedEngine, ended: Set<SteppedTask>): SteppedTask | undefined {
  return engine.tasks.find((task) => !ended.has(task) && !task.signal.aborted);
}

async function play(commands: Command[]): Promise<void> {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs: Jobs = await room.open(engine, { limits: { running: RUNNING } });
  const clients = new Map(CLIENTS.map((clientId) => [clientId, new TestClient(jobs, clientId)]));
  const promptOf = new Map<string, string>();
  const idOf = new Map<string, string>();
  const ended = new Set<SteppedTask>();
  const model = new Model();
  for (const step of commands) {
    if (step.does === 'create') {
      const jobId = (await clients.get(step.client)?.create(step.prompt)) ?? '';
      idOf.set(step.prompt, jobId);
      promptOf.set(jobId, step.prompt);
      model.create(step.client, step.prompt);
    } else if (step.does === 'cancel') {
      let refusal: string | null = null;
      try {
        clients.get(step.client)?.connection.cancel(idOf.get(step.prompt) ?? '0'.repeat(64), undefined);
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        refusal = thrown.code;
      }
      expect(refusal).toBe(model.cancel(step.client, step.prompt));
    } else {
      await turns();
      const task = taskAtWork(engine, ended);
      if (task === undefined) continue;
      ended.add(task);
      const jobId = jobOf(task);
      const status = step.does === 'fail' ? 'failed' : task.kind === 'generate' ? 'generated' : 'completed';
      if (step.does === 'fail') task.fail(new Error('as told'));
      else await task.finish();
      while (jobs.get(jobId)?.status !== status) await new Promise(setImmediate);
      model.finish(promptOf.get(jobId) ?? '', status);
    }
    await turns();
    for (const [clientId, client] of clients) {
      const seen = [...idOf].map(([prompt, jobId]) => {
        client.connection.getStatus(jobId, undefined);
        return [prompt, client.statuses().at(-1)?.status];
      });
      expect(seen).toEqual(model.view(clientId));
    }
    expect(jobs.summary().running).toBeLessThanOrEqual(RUNNING);
    expect(engine.tasks.filter((task) => !ended.has(task) && !task.signal.aborted).length).toBeLessThanOrEqual(1);
  }
  await jobs.close('now');
}

/** The job that a task belongs to, out of the recipe that it was given. */
function jobOf(task: SteppedTask): string {
  const recipe: unknown = JSON.parse(task.task.texts.find(({ keyword }) => keyword === 'zimage-recipe')?.text ?? 'null');
  if (typeof recipe !== 'object' || recipe === null || !('job_id' in recipe) || typeof recipe.job_id !== 'string') throw new Error('a task without recipe');
  return recipe.job_id;
}

test('whatever clients ask and cancel while the engine finishes and fails, each sees what the rules say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 25 }), async (commands) => play(commands)),
    { numRuns: 40 },
  );
});
