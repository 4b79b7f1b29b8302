import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobStatusName } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { SteppedEngine, type SteppedTask } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient, type TestRoom, turns } from '../../tests/support/jobs-room.ts';
import type { Jobs } from './jobs.ts';

/**
 * The contract as a small model: a job has a state and, for each client, whether it is live, gave up or is over; a live client hears of each
 * step, also of those that came while it was away. Every command is done to the model and to the real thing; what the clients hear and see must be the same
 * after each, over restarts too.
 */
type Stand = 'live' | 'cancelled' | 'over';
interface ModelJob {
  status: JobStatusName;
  /** An earlier run has left its original image, which a restart takes over since it is the same image. */
  hasOriginal: boolean;
  stands: Map<string, Stand>;
}

const CLIENTS = ['a', 'b', 'c'];
const PROMPTS = ['x', 'y', 'z'];
/** One less than there are prompts, so that at most one job waits and taking turns, which has a test of its own, plays no part. */
const RUNNING = 2;

const client = fc.constantFrom(...CLIENTS);
const prompt = fc.constantFrom(...PROMPTS);
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('create' as const), client, prompt }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('cancel' as const), client, prompt }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('finish' as const, 'crash' as const) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('leave' as const, 'come back' as const), client }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

class Model {
  readonly jobs = new Map<string, ModelJob>();
  readonly waiting: string[] = [];
  /** What each client received and has not been checked yet. */
  readonly told = new Map<string, string[]>(CLIENTS.map((each) => [each, []]));

  create(clientId: string, wish: string): void {
    const known = this.jobs.get(wish);
    const job: ModelJob = known ?? { status: 'pending', hasOriginal: false, stands: new Map() };
    const isFresh = known === undefined || job.status === 'failed' || job.status === 'cancelled';
    if (isFresh) {
      job.status = 'pending';
      // what was asked for last is the newest
      this.jobs.delete(wish);
      this.jobs.set(wish, job);
      this.waiting.push(wish);
    }
    job.stands.set(clientId, job.status === 'completed' ? 'over' : 'live');
    this.#tell(clientId, wish, job.status);
    this.#start();
  }

  /** The code of the refusal, or null. */
  cancel(clientId: string, wish: string): string | null {
    const job = this.jobs.get(wish);
    if (job === undefined) return 'unknown_job';
    const own = job.stands.get(clientId);
    if (own === 'cancelled' || (job.status !== 'pending' && job.status !== 'processing')) return 'not_cancellable';
    const others = [...job.stands].filter(([other, stand]) => other !== clientId && stand === 'live').length;
    if (others > 0 && own !== 'live') return 'job_of_others';
    if (others === 0) this.#end(wish, job, 'cancelled');
    else this.#tell(clientId, wish, 'cancelled');
    job.stands.set(clientId, 'cancelled');
    this.#start();
    return null;
  }

  finish(wish: string, status: 'generated' | 'completed' | 'failed'): void {
    const job = this.jobs.get(wish);
    if (job === undefined) throw new Error('the engine works at a job that the model does not know');
    job.hasOriginal ||= status === 'generated';
    if (status === 'generated') this.#step(wish, job, status);
    else this.#end(wish, job, status);
    this.#start();
  }

  restart(): void {
    for (const [wish, job] of this.jobs) if (job.status === 'processing' && job.hasOriginal) this.#step(wish, job, 'generated');
  }

  /** What `get_client_jobs` lists, newest first. */
  list(clientId: string): [string, JobStatusName][] {
    const own = [...this.jobs].filter(([, { stands }]) => stands.has(clientId));
    return own.map(([wish, job]): [string, JobStatusName] => [wish, seenBy(clientId, job)]).reverse();
  }

  /** What `get_status` answers for every job. */
  view(clientId: string): Record<string, JobStatusName> {
    return Object.fromEntries([...this.jobs].map(([wish, job]) => [wish, seenBy(clientId, job)]));
  }

  #tell(clientId: string, wish: string, status: JobStatusName): void {
    this.told.get(clientId)?.push(`${wish} ${status}`);
  }

  #step(wish: string, job: ModelJob, status: JobStatusName): void {
    job.status = status;
    for (const [clientId, stand] of job.stands) if (stand === 'live') this.#tell(clientId, wish, status);
  }

  #end(wish: string, job: ModelJob, status: JobStatusName): void {
    this.#step(wish, job, status);
    for (const [clientId, stand] of job.stands) if (stand === 'live') job.stands.set(clientId, 'over');
    if (this.waiting.includes(wish)) this.waiting.splice(this.waiting.indexOf(wish), 1);
  }

  #start(): void {
    while ([...this.jobs.values()].filter(({ status }) => status === 'processing' || status === 'generated').length < RUNNING) {
      const wish = this.waiting.shift() ?? '';
      const next = this.jobs.get(wish);
      if (next === undefined) return;
      this.#step(wish, next, 'processing');
    }
  }
}

function seenBy(clientId: string, { status, stands }: ModelJob): JobStatusName {
  return stands.get(clientId) === 'cancelled' ? 'cancelled' : status;
}

/** The real thing: jobs that are opened again and again over one folder, and the clients that are there. */
class Stage {
  readonly #room: TestRoom;
  readonly #clients = new Map<string, TestClient>();
  readonly #lastSeq = new Map<string, number>();
  readonly #idOf = new Map<string, string>();
  readonly #ended = new Set<SteppedTask>();
  #jobs: Jobs;
  #engine: SteppedEngine;

  private constructor(room: TestRoom, jobs: Jobs, engine: SteppedEngine) {
    this.#room = room;
    this.#jobs = jobs;
    this.#engine = engine;
    for (const clientId of CLIENTS) this.comeBack(clientId);
  }

  static async open(): Promise<Stage> {
    const [room, engine] = [createTestRoom(), new SteppedEngine()];
    return new Stage(room, await room.open(engine, { limits: { running: RUNNING } }), engine);
  }

  isThere(clientId: string): boolean {
    return this.#clients.has(clientId);
  }

  async create(clientId: string, wish: string): Promise<void> {
    this.#idOf.set(wish, (await this.#clients.get(clientId)?.create(wish, 'create')) ?? '');
  }

  /** The code of the refusal, or null. */
  async cancel(clientId: string, wish: string): Promise<string | null> {
    try {
      await this.#clients.get(clientId)?.connection.cancel(this.#idOf.get(wish) ?? '0'.repeat(64), undefined);
      return null;
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown.code;
      throw thrown;
    }
  }

  /** Lets the engine finish what it works at, or die over it. The wish and its new status; null where it has nothing to do. */
  async endTask(isCrash: boolean): Promise<{ wish: string; status: 'generated' | 'completed' | 'failed' } | null> {
    await turns();
    const task = this.#tasksAtWork()[0];
    if (task === undefined) return null;
    this.#ended.add(task);
    const jobId = jobOf(task);
    const status = isCrash ? 'failed' : task.kind === 'generate' ? 'generated' : 'completed';
    if (isCrash) task.fail(new AppError('engine_crashed', 'The process of the engine died twice.', {}));
    else await task.finish();
    await expect.poll(() => this.#jobs.get(jobId)?.status, { timeout: 20_000, interval: 1 }).toBe(status);
    return { wish: this.#wishOf(jobId), status };
  }

  leave(clientId: string): void {
    this.#clients.get(clientId)?.connection.close();
    this.#clients.delete(clientId);
  }

  comeBack(clientId: string): void {
    const back = new TestClient(this.#jobs, clientId);
    this.#clients.set(clientId, back);
    back.connection.watch({ since: this.#lastSeq.get(clientId) ?? 0 });
  }

  async restart(): Promise<void> {
    const there = [...this.#clients.keys()];
    for (const clientId of there) this.leave(clientId);
    await this.#jobs.close('now');
    this.#ended.clear();
    this.#engine = new SteppedEngine();
    this.#jobs = await this.#room.open(this.#engine, { limits: { running: RUNNING } });
    for (const clientId of there) this.comeBack(clientId);
  }

  /** What the client received since the last call; it remembers the last number. */
  hear(clientId: string): string[] {
    const statuses = this.#clients.get(clientId)?.statuses() ?? [];
    const last = this.#lastSeq.get(clientId) ?? 0;
    this.#lastSeq.set(clientId, Math.max(last, ...statuses.map(({ seq }) => seq ?? 0)));
    return statuses.filter(({ seq, request_id }) => (seq ?? 0) > last && request_id !== 'ask').map(({ job_id, status }) => `${this.#wishOf(job_id)} ${status}`);
  }

  list(clientId: string): [string, JobStatusName][] {
    const asked = this.#clients.get(clientId);
    asked?.connection.clientJobs({ requestId: 'ask' });
    const answer = asked?.received.findLast((message) => message.type === 'client_jobs');
    return (answer?.jobs ?? []).map(({ job_id, status }) => [this.#wishOf(job_id), status]);
  }

  view(clientId: string): Record<string, JobStatusName | undefined> {
    const asked = this.#clients.get(clientId);
    const seen = [...this.#idOf].map(([wish, jobId]) => {
      asked?.connection.getStatus(jobId, 'ask');
      return [wish, asked?.statuses().at(-1)?.status];
    });
    return Object.fromEntries(seen);
  }

  assertWithinLimits(): void {
    expect(this.#jobs.summary().running).toBeLessThanOrEqual(RUNNING);
    expect(this.#tasksAtWork().length).toBeLessThanOrEqual(1);
  }

  close(): Promise<void> {
    return this.#jobs.close('now');
  }

  #tasksAtWork(): SteppedTask[] {
    return this.#engine.tasks.filter((task) => !this.#ended.has(task) && !task.signal.aborted);
  }

  #wishOf(jobId: string): string {
    return [...this.#idOf].find(([, id]) => id === jobId)?.[0] ?? '';
  }
}

/** The job that a task belongs to, out of the recipe that it was given. */
function jobOf(task: SteppedTask): string {
  if (task.task.provenance === null) throw new Error('a task without recipe');
  return task.task.provenance.recipe.job_id;
}

/** Does the command to both. A client that is away can ask for nothing. */
async function perform(step: Command, stage: Stage, model: Model): Promise<void> {
  switch (step.does) {
    case 'create':
      if (!stage.isThere(step.client)) return;
      await stage.create(step.client, step.prompt);
      return model.create(step.client, step.prompt);
    case 'cancel':
      if (!stage.isThere(step.client)) return;
      return expect(await stage.cancel(step.client, step.prompt)).toBe(model.cancel(step.client, step.prompt));
    case 'finish':
    case 'crash': {
      const ended = await stage.endTask(step.does === 'crash');
      if (ended !== null) model.finish(ended.wish, ended.status);
      return;
    }
    case 'leave':
      return stage.leave(step.client);
    case 'come back':
      if (!stage.isThere(step.client)) stage.comeBack(step.client);
      return;
    case 'restart':
      model.restart();
      return stage.restart();
  }
}

async function play(commands: Command[]): Promise<void> {
  const stage = await Stage.open();
  const model = new Model();
  for (const step of commands) {
    await perform(step, stage, model);
    await turns();
    for (const clientId of CLIENTS.filter((each) => stage.isThere(each))) {
      const heard: string[] = [];
      const hear = () => {
        heard.push(...stage.hear(clientId));
        return heard;
      };
      // what follows an end waits for files to be removed
      await expect.poll(hear, { timeout: 20_000, interval: 1 }).toEqual(model.told.get(clientId)?.splice(0));
      expect(stage.list(clientId)).toEqual(model.list(clientId));
      expect(stage.view(clientId)).toEqual(model.view(clientId));
      // the answers just given have numbers too
      stage.hear(clientId);
    }
    stage.assertWithinLimits();
  }
  await stage.close();
}

/** A failure prints its seed and path; `FC_SEED=… FC_PATH=… npx vitest run src-main/jobs/contract-model.test.ts` plays it again. */
const { FC_SEED: seed, FC_PATH: path } = process.env;
const replay = seed === undefined ? {} : { seed: Number(seed), ...(path === undefined ? {} : { path }) };

test('random requests, cancellations, reconnects, engine deaths and restarts: each client receives what the rules say', async () => {
  await fc.assert(fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 40, size: 'max' }), play), {
    numRuns: 25,
    interruptAfterTimeLimit: 60_000,
    ...replay,
  });
});
