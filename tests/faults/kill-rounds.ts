import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobRecord, jobRecordSchema } from '#shared/domain/job-record.ts';
import { FAKE_ENGINE_VARIABLE, type FakeBehaviour } from '../fakes/fake-fault.ts';
import { childrenOf } from '../support/children-of.ts';
import { HeadlessProcess } from '../support/headless-process.ts';
import { KILL_ORDER_VARIABLE, type KillOrder, killNow, type Victims } from './kill-order.ts';
import { type KillRound, planKills } from './kill-plan.ts';
import { OutputsAudit } from './outputs-audit.ts';
import { isEnd, Witness } from './witness.ts';

const preload = resolve(import.meta.dirname, 'server-preload.ts');
/** The number of the last step that `engine-process.ts` counts. */
const STEPS = 4;
const MANY_STEPS = 50;
const GIVE_UP_MS = 60_000;

export interface KillReport {
  /** Violations, each with its round. */
  violations: string[];
  /** Kills by point and by victim. */
  kills: { point: string; victims: Victims; count: number }[];
  /** Rounds whose point was not reached: a gap in the test. */
  missed: string[];
  /** Acknowledged jobs, and statuses that the clients received; `replayed` counts the statuses that came by `since` after a kill. */
  acknowledgedJobs: number;
  statusesHeard: number;
  replayed: number;
  /** Images under a final name, each read chunk by chunk and decoded. */
  wholeFiles: number;
}

/**
 * Kills the server, its engine, or both with SIGKILL, `count` times over one data folder. Two clients compare every later run of the server with
 * what was acknowledged to them. Calls `onRound` at the end of each round.
 */
export async function runKillRounds(count: number, seed: number, onRound: (line: string) => void = () => {}): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kill-rounds-'));
  try {
    const run = new KillRun(folder);
    for (const [index, round] of planKills(count, seed).entries()) {
      const startedAt = performance.now();
      await run.round(index, round);
      onRound(`${index + 1}/${count} ${nameOf(round)}: ${Math.round(performance.now() - startedAt)} ms`);
    }
    await run.finish();
    return run.report();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class KillRun {
  readonly #dataDir: string;
  readonly #outputs: OutputsAudit;
  readonly #folder: string;
  readonly #clients = [new Witness('a'), new Witness('b')] as const;
  readonly #kills = new Map<string, KillReport['kills'][number]>();
  readonly #missed: string[] = [];
  readonly #violations: string[] = [];
  /** Jobs that were moved to the bin or back: their place by the last answer, null if the server died first. */
  readonly #isBinned = new Map<string, boolean | null>();
  #server: HeadlessProcess | null = null;
  #url = '';
  #round = '';
  #wishes = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.#dataDir = join(folder, 'data');
    this.#outputs = new OutputsAudit(join(this.#dataDir, 'outputs'));
  }

  async round(index: number, round: KillRound): Promise<void> {
    this.#round = `round ${index + 1}, ${nameOf(round)}`;
    const marker = join(this.#folder, `marker-${index}`);
    if (round.point.startsWith('start:')) await this.#leaveWork(round.point);
    const order = round.point === 'random' ? null : { ...round, marker };
    const isUp = await this.#start(order, round.point.startsWith('failed') ? ['nan@2'] : []);
    if (isUp && (await this.#connect())) await this.#act(round);
    await this.#end();
    if (round.point === 'random' || existsSync(marker)) this.#count(round);
    else this.#missed.push(this.#round);
  }

  /** A last run without a kill: everything acknowledged ends, and no files are left over. */
  async finish(): Promise<void> {
    this.#round = 'the last start';
    await this.#start(null);
    if (!(await this.#connect())) this.#violate('it did not serve');
    for (const client of this.#clients) await this.#inTime(client.until(() => [...client.told.keys()].every((jobId) => client.hasEnded(jobId))));
    const binned = await this.#binned();
    this.#server?.kill('SIGTERM');
    const ended = await this.#server?.ended;
    if (ended?.code !== 0) this.#violate(`it ended with ${ended?.code ?? ended?.signal}`);
    this.#violations.push(...(await this.#outputs.damagedFiles()));
    const left = [...this.#outputs.temporaryFiles(), ...readdirSync(this.#dataDir).filter((name) => /\.(part|tmp|new)$|-wal$/.test(name))];
    if (left.length > 0) this.#violate(`left behind: ${left.join(', ')}`);
    for (const [jobId, { filename, status }] of this.#clients[0].told) {
      const isBinned = binned.get(jobId) ?? false;
      if (filename !== null && status === 'completed') for (const what of this.#outputs.misplacedFiles(filename, isBinned)) this.#violate(what);
    }
  }

  /** Checks that each moved job is where the last answer said. */
  async #binned(): Promise<Map<string, boolean>> {
    const binned = new Map<string, boolean>();
    for (const [jobId, acknowledged] of this.#isBinned) {
      const record = await this.#record('GET', `/api/jobs/${jobId}`);
      if (record === null || (acknowledged !== null && record.deleted !== acknowledged)) this.#violate(`job ${jobId} is not where the last answer said`);
      binned.set(jobId, record?.deleted ?? false);
    }
    return binned;
  }

  report(): KillReport {
    const [a, b] = this.#clients;
    return {
      violations: [...this.#violations, ...a.violations, ...b.violations],
      kills: [...this.#kills.values()].sort((one, other) => one.point.localeCompare(other.point)),
      missed: this.#missed,
      acknowledgedJobs: new Set([...a.told.keys(), ...b.told.keys()]).size,
      statusesHeard: a.statusesHeard + b.statusesHeard,
      replayed: a.replayed + b.replayed,
      wholeFiles: this.#outputs.wholeFiles,
    };
  }

  /** True when the server is ready, false when it was killed before. */
  async #start(order: KillOrder | null, faults: FakeBehaviour['faults'] = []): Promise<boolean> {
    const behaviour: FakeBehaviour = { stepMs: 2, busyThreads: 0, faults };
    const before = this.#outputs.temporaryFiles();
    const env = { [FAKE_ENGINE_VARIABLE]: JSON.stringify(behaviour), ...(order === null ? {} : { [KILL_ORDER_VARIABLE]: JSON.stringify(order) }) };
    this.#server = new HeadlessProcess({ dataDir: this.#dataDir, preload, env, args: ['--log-level', 'warn'] });
    const url = await this.#server.ready;
    if (url === null) {
      if (order === null) this.#violate(`it did not start: ${this.#server.log}`);
      return false;
    }
    this.#url = url;
    const left = this.#outputs.temporaryFiles().filter((name) => before.includes(name));
    if (left.length > 0) this.#violate(`${left.join(', ')} outlived the start`);
    return true;
  }

  async #connect(): Promise<boolean> {
    const connected = await this.#inTime(Promise.all(this.#clients.map((client) => client.connect(this.#url))));
    return connected.every(Boolean);
  }

  /** The clients' actions until the server dies, chosen to reach the point. */
  async #act(round: KillRound): Promise<void> {
    const { point } = round;
    const [a] = this.#clients;
    if (point === 'random') return this.#actUntilKilled(round);
    if (point.startsWith('cancelled') || point.startsWith('requested-again')) {
      const wish = this.#wish(MANY_STEPS);
      const jobId = await this.#inTime(a.create(wish));
      if (jobId === null) return;
      a.cancel(jobId);
      if (!(await this.#inTime(a.until(() => a.hasEnded(jobId)))) || point.startsWith('cancelled')) return;
      await this.#inTime(a.createAgain(jobId, { ...wish }));
      await this.#inTime(a.until(() => a.hasEnded(jobId)));
    } else if (point.startsWith('binned') || point.startsWith('restored') || point.startsWith('bin:')) {
      const jobId = await this.#inTime(a.create(this.#wish(STEPS)));
      if (jobId === null || !(await this.#inTime(a.until(() => a.hasEnded(jobId))))) return;
      if (await this.#move(jobId, true)) await this.#move(jobId, false);
    } else if (point === 'park:before-close') {
      const jobId = await this.#inTime(a.create(this.#wish(MANY_STEPS)));
      await this.#inTime(a.until(() => jobId !== null && a.statusOf(jobId) === 'processing'));
      this.#server?.kill('SIGTERM');
      await this.#server?.ended;
    } else {
      await this.#makeImages();
    }
  }

  async #actUntilKilled({ victims, atMs }: Extract<KillRound, { point: 'random' }>): Promise<void> {
    const working = this.#makeImages();
    await sleep(atMs);
    const pid = this.#server?.pid ?? 0;
    const engines = childrenOf(pid);
    if (victims !== 'server') for (const engine of engines) killNow(engine);
    if (victims !== 'engine') killNow(pid);
    await working;
  }

  /** Two images for one client, one of them for the other client too; done when all have ended or the server has. */
  async #makeImages(): Promise<void> {
    const [a, b] = this.#clients;
    const shared = this.#wish(STEPS);
    const jobs = await this.#inTime(Promise.all([a.create(shared), b.create(shared), a.create(this.#wish(STEPS))]));
    const hasEnded = (client: Witness) => jobs.every((jobId) => jobId === null || !client.told.has(jobId) || client.hasEnded(jobId));
    await this.#inTime(Promise.all(this.#clients.map((client) => client.until(() => hasEnded(client)))));
  }

  /** Leaves something for the next start to repair: files without a row in the database, or a half-written file. */
  async #leaveWork(point: string): Promise<void> {
    const marker = join(this.#folder, 'marker-of-work');
    const isFile = point === 'start:temporary-removed';
    await this.#start({ point: isFile ? 'engine:half-written' : 'generated:before-commit', occurrence: 1, victims: 'both', marker });
    if (await this.#connect()) await this.#makeImages();
    await this.#end();
  }

  /** Moves a job to the bin or back. False if the server dies meanwhile. */
  async #move(jobId: string, toBin: boolean): Promise<boolean> {
    this.#isBinned.set(jobId, null);
    const record = await this.#record(toBin ? 'DELETE' : 'POST', toBin ? `/api/jobs/${jobId}` : `/api/jobs/${jobId}/restore`);
    if (record === null) return false;
    this.#isBinned.set(jobId, toBin);
    return true;
  }

  /** Null if the server was killed before it could answer. */
  async #record(method: string, path: string): Promise<JobRecord | null> {
    try {
      const answer = await fetch(`${this.#url}${path}`, { method });
      return jobRecordSchema.parse(await answer.json());
    } catch (thrown) {
      if (thrown instanceof TypeError) return null;
      throw thrown;
    }
  }

  /** Makes sure that the server has ended, and checks the files that it left. */
  async #end(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    if (this.#server?.isRunning === true) this.#server.kill('SIGKILL');
    await this.#server?.ended;
    for (const what of await this.#outputs.damagedFiles()) this.#violate(what);
  }

  #wish(steps: number): { prompt: string; steps: number } {
    return { prompt: `wish ${this.#wishes++}`, steps };
  }

  #count({ point, victims }: KillRound): void {
    const key = `${point} ${victims}`;
    const kill = this.#kills.get(key) ?? { point, victims, count: 0 };
    kill.count++;
    this.#kills.set(key, kill);
  }

  #violate(what: string): void {
    this.#violations.push(`${this.#round}: ${what}`);
  }

  /** Without this limit a job that never ends would not be reported. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const timer = new AbortController();
    const late = sleep(GIVE_UP_MS, undefined, { signal: timer.signal, ref: false }).then(() => {
      const open = this.#clients.flatMap((client) => [...client.told].filter(([, { status }]) => !isEnd(status)));
      throw new Error(`${this.#round}: nothing came for ${GIVE_UP_MS} ms; open are ${JSON.stringify(open)}; the log: ${this.#server?.log}`);
    });
    late.catch(() => {});
    try {
      return await Promise.race([work, late]);
    } finally {
      timer.abort();
    }
  }
}

function nameOf({ point, victims }: KillRound): string {
  return `${point} of ${victims}`;
}
