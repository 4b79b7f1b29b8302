import type { MemoryDecision } from '#main/inference/memory-plan.ts';
import { type BindingInUse, deviceParts } from '#shared/domain/device.ts';
import type { MemoryChoice, MemoryPlan } from '#shared/domain/memory-plan.ts';
import { AppError, fromWireError, type WireError } from '#shared/protocol/errors.ts';
import { type EngineEvent, eventSchema, type GenerateOrder, type TaskOrder, type WorkerConfig } from './channel.ts';
import type { Accuracy, EngineHooks, EngineStatus, GenerateTask, MemoryStatus, TaskReport, UpscaleTask } from './engine.ts';
import type { EngineProcess, ProcessExit, SpawnEngine } from './engine-process.ts';
import { RestartBudget, type RestartLimits } from './restart-budget.ts';

export interface EngineConfig extends WorkerConfig {
  accuracy: Accuracy;
  /** Where to begin. A task that runs out of memory runs once more by the next plan that needs clearly less, and so do those after it. */
  memory: MemoryChoice;
}

export interface EngineLimits extends RestartLimits {
  /** A started process that sends no heartbeat for this long hangs. */
  heartbeatTimeoutMs: number;
  /** From the start of the process to its first word. */
  startTimeoutMs: number;
  /** A running task of which nothing is heard for this long hangs; one step of a large model on a slow CPU takes minutes. */
  taskTimeoutMs: number;
  /** How long a cancelled task may go on before its process is ended: one long operator cannot be interrupted. */
  cancelGraceMs: number;
}

const defaultLimits: EngineLimits = {
  heartbeatTimeoutMs: 20_000,
  startTimeoutMs: 60_000,
  taskTimeoutMs: 30 * 60_000,
  cancelGraceMs: 2_000,
  maxRestarts: 3,
  windowMs: 5 * 60_000,
  backoffMs: [100, 1_000, 5_000],
};

/** Where the engine tells what happened to its process; pino's order of arguments. */
export interface EngineLog {
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
}

export interface SupervisorOptions {
  spawn: SpawnEngine;
  config: EngineConfig;
  log: EngineLog;
  limits?: Partial<EngineLimits>;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
  /** Called when its state has changed. */
  onChange?: () => void;
}

/**
 * The engine as a process that may die at any moment. Tasks take the device in the order in which they came; the next one gets it when the model work of
 * the one before is over. A task whose process died runs once more from its beginning, then rejects with `engine_crashed`, `engine_hung` or
 * `engine_out_of_memory`; a process that keeps dying is not started until the window of the limits has passed, and tasks reject with `engine_unavailable`.
 */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  return new Supervisor(options);
}

interface Fault {
  code: 'engine_crashed' | 'engine_hung' | 'engine_out_of_memory';
  /** What the process did, to stand behind "it". */
  what: string;
}

interface Task {
  order: TaskOrder;
  hooks: EngineHooks;
  signal: AbortSignal;
  place: 'waiting' | 'on device' | 'finishing';
  /** Process deaths that it went through. */
  faults: number;
  setbacks: string[];
  modelDone: boolean;
  grace: NodeJS.Timeout | undefined;
  resolve(report: TaskReport): void;
  reject(error: AppError): void;
  onAbort(): void;
}

/** One process from its start to its exit. */
interface Life {
  process: EngineProcess;
  ready: boolean;
  /** Why we ended it ourselves; the exit is still to come. `planned` is no fault of anybody. */
  ended: Fault | 'planned' | null;
  /** The task whose model work runs, also when it was given up and nobody waits for it. */
  onDevice: number | null;
  /** The task on the device was cancelled and does not obey. */
  stuck: boolean;
  /** What it has loaded; sessions leak when they are exchanged, so another one needs another process. */
  loaded: { accuracy: Accuracy | null; checkpoint: string | null; upscaler: string | null };
  /** The plan to go on with should memory run out; undefined before a checkpoint's parts were to be loaded. */
  nextPlan: MemoryPlan | null | undefined;
  residentBytes: number;
  /** Ticks of the watch without a heartbeat, and without a word of a running task. Counting ticks, not time, forgives a pause of this very process. */
  silentTicks: number;
  taskSilentTicks: number;
  watch: NodeJS.Timeout;
  lastLines: string[];
}

type TaskEvent = Extract<EngineEvent, { id: number }>;

const TICKS_A_HEARTBEAT = 4;
const KEPT_LINES = 20;

/** Black or empty pictures out of int8 activations: worth one run in float32. */
const NUMERIC_FAILURES: ReadonlySet<string> = new Set(['latents_not_finite', 'latents_collapsed', 'picture_not_finite', 'picture_flat']);

/** What an upscaler may meet on a GPU and not on the CPU. */
const DEVICE_FAILURES: ReadonlySet<string> = new Set(['engine_failed', 'engine_out_of_memory']);

export class Supervisor {
  readonly #spawn: SpawnEngine;
  readonly #config: EngineConfig;
  readonly #log: EngineLog;
  readonly #limits: EngineLimits;
  readonly #now: () => number;
  readonly #budget: RestartBudget;
  readonly #onChange: () => void;
  /** In the order in which they came; one that has to run again keeps its place. */
  #tasks: Task[] = [];
  #life: Life | null = null;
  #startTimer: NodeJS.Timeout | undefined;
  #idleMs: number | null = null;
  #idleTimer: NodeJS.Timeout | undefined;
  #memory: MemoryStatus;
  #binding: BindingInUse | null = null;
  /** Where models run. What fails before it has made its first picture is given up for the CPU. */
  #device: Pick<WorkerConfig, 'device' | 'deviceReason'>;
  #deviceIsProven = false;
  /** An upscaler that failed on the device runs on the CPU from then on. */
  #upscalesOnCpu = false;
  #nextId = 1;
  #faults = 0;
  #closing: Promise<void> | null = null;
  #tellExit: (() => void) | null = null;

  constructor(options: SupervisorOptions) {
    this.#spawn = options.spawn;
    this.#config = options.config;
    this.#memory = { choice: options.config.memory, steppedDown: false, planned: null };
    this.#device = options.config;
    this.#log = options.log;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#onChange = options.onChange ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
    this.#budget = new RestartBudget(this.#limits);
  }

  generate(task: GenerateTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    const previews = hooks.onPreview !== undefined;
    return this.#run({ type: 'generate', id: this.#nextId++, accuracy: this.#config.accuracy, memory: this.#memory.choice, previews, ...task }, hooks, signal);
  }

  upscale(task: UpscaleTask, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    return this.#run({ type: 'upscale', id: this.#nextId++, accuracy: this.#config.accuracy, onCpu: this.#upscalesOnCpu, ...task }, hooks, signal);
  }

  warm(): void {
    if (this.#closing === null && this.#life === null) this.#startSoon();
  }

  pid(): number | null {
    return this.#life?.process.pid ?? null;
  }

  unloadAfter(idleMs: number | null): void {
    this.#idleMs = idleMs;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#pump();
  }

  status(): EngineStatus {
    const { device, deviceReason } = this.#device;
    const { accuracy } = this.#config;
    const state = this.#state();
    const residentBytes = this.#life?.residentBytes ?? 0;
    const devices = [{ state, device, deviceReason, residentBytes }];
    return { state, device, deviceReason, accuracy, memory: this.#memory, binding: this.#binding, residentBytes, restarts: this.#faults, devices };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  #state(): EngineStatus['state'] {
    if (this.#life !== null) return this.#life.ready ? 'ready' : 'starting';
    return this.#budget.nextStart(this.#now()).spent ? 'unavailable' : 'stopped';
  }

  async #end(): Promise<void> {
    clearTimeout(this.#startTimer);
    clearTimeout(this.#idleTimer);
    for (const task of [...this.#tasks]) this.#reject(task, shuttingDown());
    const life = this.#life;
    if (life === null) return;
    const exited = new Promise<void>((resolve) => {
      this.#tellExit = resolve;
    });
    this.#kill(life, 'planned');
    await exited;
  }

  #run(order: TaskOrder, hooks: EngineHooks, signal: AbortSignal): Promise<TaskReport> {
    if (this.#closing !== null) return Promise.reject(shuttingDown());
    if (signal.aborted) return Promise.reject(cancelled());
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#cancel(task);
      const task: Task = { order, hooks, signal, place: 'waiting', faults: 0, setbacks: [], modelDone: false, grace: undefined, resolve, reject, onAbort };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#tasks.push(task);
      this.#pump();
    });
  }

  /** Takes the next step that is due: start a process, end one that must go, give the device to the next task. Called after everything that changes. */
  #pump(): void {
    const life = this.#life;
    const next = this.#tasks.find((task) => task.place === 'waiting');
    if (life === null) {
      if (next !== undefined) this.#startSoon();
      return;
    }
    if (life.ended !== null) return;
    this.#watchIdle(life);
    const isFree = life.ready && life.onDevice === null;
    const mustGo = life.stuck || (isFree && next !== undefined && !fits(life, next.order));
    const isFinishing = this.#tasks.some((task) => task.place === 'finishing');
    if (mustGo && !isFinishing) this.#kill(life, 'planned');
    else if (!mustGo && isFree && next !== undefined) this.#give(life, next);
  }

  /** Called often: the time runs from the first moment without a task, and ends with the next one. */
  #watchIdle(life: Life): void {
    if (this.#tasks.length > 0 || this.#idleMs === null) {
      clearTimeout(this.#idleTimer);
      this.#idleTimer = undefined;
      return;
    }
    this.#idleTimer ??= setTimeout(() => {
      this.#idleTimer = undefined;
      if (life !== this.#life || this.#tasks.length > 0) return;
      this.#log.info({ pid: life.process.pid }, 'nothing to do: the engine process gives its memory back');
      this.#kill(life, 'planned');
    }, this.#idleMs);
  }

  #give(life: Life, task: Task): void {
    const { order } = task;
    life.loaded.accuracy = order.accuracy;
    if (order.type === 'generate') life.loaded.checkpoint = checkpointKey(order);
    else life.loaded.upscaler = upscalerKey(order);
    life.onDevice = order.id;
    life.taskSilentTicks = 0;
    task.place = 'on device';
    life.process.send(order);
  }

  #startSoon(): void {
    if (this.#startTimer !== undefined) return;
    const { waitMs, spent } = this.#budget.nextStart(this.#now());
    if (spent) this.#refuseWaiting(waitMs);
    else if (waitMs === 0) this.#start();
    else
      this.#startTimer = setTimeout(() => {
        this.#startTimer = undefined;
        this.#start();
      }, waitMs);
  }

  #refuseWaiting(waitMs: number): void {
    const seconds = Math.ceil(waitMs / 1000);
    const sentence = `The engine's process ended ${this.#limits.maxRestarts + 1} times in a short while and rests; it is started again in ${seconds} s. The log has its last words.`;
    for (const task of this.#tasks.filter(({ place }) => place === 'waiting')) this.#reject(task, new AppError('engine_unavailable', sentence, {}));
  }

  #start(): void {
    const process = this.#spawn(deviceParts(this.#device.device).provider);
    const watchMs = this.#limits.heartbeatTimeoutMs / TICKS_A_HEARTBEAT;
    const life: Life = {
      process,
      ready: false,
      ended: null,
      onDevice: null,
      stuck: false,
      loaded: { accuracy: null, checkpoint: null, upscaler: null },
      nextPlan: undefined,
      residentBytes: 0,
      silentTicks: 0,
      taskSilentTicks: 0,
      watch: setInterval(() => this.#watch(life, watchMs), watchMs),
      lastLines: [],
    };
    this.#life = life;
    process.onMessage((message) => this.#receive(life, message));
    process.onOutput((line) => {
      life.lastLines.push(line);
      if (life.lastLines.length > KEPT_LINES) life.lastLines.shift();
    });
    process.onExit((exit) => this.#bury(life, exit));
    const { accuracy: _accuracy, memory: _memory, ...config } = this.#config;
    const { device, deviceReason } = this.#device;
    process.send({ type: 'start', config: { ...config, device, deviceReason } });
    this.#log.info({ pid: process.pid, device }, 'engine process started');
  }

  #watch(life: Life, watchMs: number): void {
    life.silentTicks++;
    if (this.#tasks.some((task) => task.place !== 'waiting')) life.taskSilentTicks++;
    const { heartbeatTimeoutMs, startTimeoutMs, taskTimeoutMs } = this.#limits;
    if (life.silentTicks * watchMs > (life.ready ? heartbeatTimeoutMs : Math.max(startTimeoutMs, heartbeatTimeoutMs))) {
      this.#kill(life, { code: 'engine_hung', what: 'stopped answering' });
    } else if (life.taskSilentTicks * watchMs > taskTimeoutMs) {
      this.#kill(life, { code: 'engine_hung', what: `got no further for ${Math.round(taskTimeoutMs / 1000)} s` });
    }
  }

  #receive(life: Life, message: unknown): void {
    if (life.ended !== null) return;
    const event = eventSchema.safeParse(message);
    if (event.success) {
      life.silentTicks = 0;
      this.#handle(life, event.data);
    } else this.#kill(life, { code: 'engine_crashed', what: 'sent a message that is none of its own' });
  }

  #handle(life: Life, event: EngineEvent): void {
    if (event.type === 'ready') life.ready = true;
    else if (event.type === 'bound') this.#binding = event.inUse;
    else if (event.type === 'heartbeat') life.residentBytes = event.residentBytes;
    else if (event.type === 'fatal') this.#kill(life, faultOf(event.error));
    else if ('id' in event) this.#handleTask(life, event);
    this.#pump();
  }

  #handleTask(life: Life, event: TaskEvent): void {
    life.taskSilentTicks = 0;
    if (event.type === 'model_done' || event.type === 'failed') freeDevice(life, event.id);
    const task = this.#tasks.find(({ order, place }) => order.id === event.id && place !== 'waiting');
    // one that was given up may still be heard
    if (task === undefined) return;
    if (event.type === 'failed') this.#fail(life, task, event.error);
    else if (event.type === 'done') this.#succeed(task, event.report);
    else if (event.type === 'model_done') this.#finishModel(task);
    else if (event.type === 'planned') this.#notePlan(life, event.decision);
    else if (task.signal.aborted) return;
    else if (event.type === 'progress') task.hooks.onProgress({ stage: event.stage, done: event.done, total: event.total });
    else task.hooks.onPreview?.({ step: event.step, width: event.width, height: event.height, rgb: event.rgb });
  }

  #notePlan(life: Life, { next, ...planned }: MemoryDecision): void {
    life.nextPlan = next;
    if (planned.plan !== this.#memory.planned?.plan) this.#log.info(planned, `the checkpoint's parts share memory by the plan ${planned.plan}`);
    this.#memory = { ...this.#memory, planned };
  }

  #finishModel(task: Task): void {
    task.place = 'finishing';
    this.#deviceIsProven = true;
    // a task that runs again has said so already
    if (task.modelDone || task.signal.aborted) return;
    task.modelDone = true;
    task.hooks.onModelDone();
  }

  #fail(life: Life, task: Task, error: WireError): void {
    if (task.signal.aborted) this.#reject(task, cancelled());
    else if (DEVICE_FAILURES.has(error.code) && this.#mayUpscaleOnCpu(task)) {
      this.#upscaleOnCpu(error.message);
      task.place = 'waiting';
    } else if (error.code === 'engine_out_of_memory') this.#kill(life, faultOf(error));
    else if (NUMERIC_FAILURES.has(error.code) && task.order.accuracy === 'fast') {
      task.setbacks.push(`${error.message} It was made again in float32.`);
      this.#log.warn({ code: error.code, task: task.order.id }, `${error.message} The task runs again in float32.`);
      task.order = { ...task.order, accuracy: 'exact' };
      task.place = 'waiting';
    } else if (error.code === 'engine_failed' && this.#mayGiveUpDevice()) {
      this.#giveUpDevice(error.message);
      this.#kill(life, 'planned');
    } else this.#reject(task, fromWireError(error));
  }

  #succeed(task: Task, report: Omit<TaskReport, 'setbacks'>): void {
    if (task.signal.aborted) this.#reject(task, cancelled());
    else this.#resolve(task, { ...report, setbacks: task.setbacks });
  }

  #cancel(task: Task): void {
    const life = this.#life;
    if (task.place === 'waiting' || life === null || life.ended !== null) {
      this.#reject(task, cancelled());
      return;
    }
    life.process.send({ type: 'cancel', id: task.order.id });
    task.grace = setTimeout(() => {
      this.#reject(task, cancelled());
      if (life.onDevice === task.order.id) {
        life.stuck = true;
        this.#log.info({ pid: life.process.pid }, 'a cancelled task does not stop: the engine process is exchanged');
      }
      this.#pump();
    }, this.#limits.cancelGraceMs);
  }

  #kill(life: Life, why: Fault | 'planned'): void {
    if (life.ended !== null) return;
    life.ended = why;
    clearInterval(life.watch);
    life.process.kill();
  }

  #bury(life: Life, exit: ProcessExit): void {
    clearInterval(life.watch);
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#life = null;
    const fault = life.ended ?? diagnose(exit);
    if (fault !== 'planned') {
      this.#faults++;
      this.#budget.recordDeath(this.#now());
      this.#log.warn({ code: fault.code, exit, lastLines: life.lastLines }, `engine process ended: it ${fault.what}`);
    }
    // for want of memory, having all graphs loaded at once is given up before the device is
    const isShort = fault !== 'planned' && fault.code === 'engine_out_of_memory';
    const stepsDown = isShort && this.#tasks.some(({ place, order }) => place !== 'waiting' && planBelow(life, order) !== null);
    const upscaling = this.#tasks.find(({ order, place }) => place === 'on device' && order.id === life.onDevice);
    const movesUpscaler = fault !== 'planned' && upscaling !== undefined && this.#mayUpscaleOnCpu(upscaling);
    if (movesUpscaler) this.#upscaleOnCpu(`the engine's process ${fault.what}`);
    const givesUp = fault !== 'planned' && !stepsDown && !movesUpscaler && this.#mayGiveUpDevice();
    if (givesUp) this.#giveUpDevice(`the engine's process ${fault.what}`);
    for (const task of this.#tasks.filter(({ place }) => place !== 'waiting')) {
      if (fault !== 'planned' && !givesUp && !movesUpscaler) task.faults++;
      task.place = 'waiting';
      if (task.signal.aborted) this.#reject(task, cancelled());
      else if (fault !== 'planned' && task.faults > 1) this.#reject(task, faultError(fault));
      else if (isShort) this.#stepDown(life, task);
    }
    this.#tellExit?.();
    this.#pump();
    this.#onChange();
  }

  #mayGiveUpDevice(): boolean {
    return this.#device.device !== 'cpu' && !this.#deviceIsProven;
  }

  /** Once: the order is for the CPU afterwards. Before the device has made a picture the whole of it is given up instead. */
  #mayUpscaleOnCpu({ order }: Task): boolean {
    return order.type === 'upscale' && !order.onCpu && this.#device.device !== 'cpu' && this.#deviceIsProven;
  }

  /** Until the next start, and the checkpoint stays on the device: it made a good picture there. */
  #upscaleOnCpu(reason: string): void {
    this.#upscalesOnCpu = true;
    const sentence = `The upscaler failed on ${this.#device.device} and runs on the CPU from now on: ${reason}`;
    this.#log.warn({ device: this.#device.device }, sentence);
    for (const task of this.#tasks) {
      if (task.order.type !== 'upscale') continue;
      task.setbacks.push(sentence);
      task.order = { ...task.order, onCpu: true };
    }
  }

  /** For good: a device that cannot make its first picture would fail at every other. Tasks that wait run on the CPU. */
  #giveUpDevice(reason: string): void {
    const deviceReason = `${this.#device.device} was given up for the CPU: ${reason}`;
    this.#log.warn({ device: this.#device.device }, deviceReason);
    for (const task of this.#tasks) task.setbacks.push(deviceReason);
    this.#device = { device: 'cpu', deviceReason };
  }

  /** A task that failed for want of memory runs again with less, and so do those after it; one that waits already is given its place in the same way. */
  #stepDown(life: Life, task: Task): void {
    const plan = planBelow(life, task.order);
    if (plan === null) return;
    this.#memory = { ...this.#memory, choice: plan, steppedDown: true };
    for (const other of this.#tasks) if (other.order.type === 'generate') other.order = { ...other.order, memory: plan };
    const sentence = `There was not enough memory; the parts of the checkpoint share it by the plan ${plan} from now on.`;
    task.setbacks.push(sentence);
    this.#log.warn({ task: task.order.id, plan }, sentence);
  }

  #resolve(task: Task, report: TaskReport): void {
    this.#forget(task);
    task.resolve(report);
  }

  #reject(task: Task, error: AppError): void {
    this.#forget(task);
    task.reject(error);
  }

  #forget(task: Task): void {
    this.#tasks = this.#tasks.filter((other) => other !== task);
    task.signal.removeEventListener('abort', task.onAbort);
    clearTimeout(task.grace);
  }
}

function freeDevice(life: Life, id: number): void {
  if (life.onDevice !== id) return;
  life.onDevice = null;
  life.stuck = false;
}

function checkpointKey(order: GenerateOrder): string {
  return JSON.stringify([order.checkpointDir, order.checkpointIdentity, order.memory]);
}

function upscalerKey(order: Extract<TaskOrder, { type: 'upscale' }>): string {
  return JSON.stringify([order.upscalerPath, order.upscalerIdentity, order.onCpu]);
}

/** Whether the process can run this without exchanging anything that it has loaded. */
function fits({ loaded }: Life, order: TaskOrder): boolean {
  const wanted = order.type === 'generate' ? checkpointKey(order) : upscalerKey(order);
  const held = order.type === 'generate' ? loaded.checkpoint : loaded.upscaler;
  return (held === null || held === wanted) && (loaded.accuracy === null || loaded.accuracy === order.accuracy);
}

/** By which plan this order may run again after memory ran out, or null. A process that died before it planned had everything to load. */
function planBelow({ nextPlan }: Life, order: TaskOrder): MemoryPlan | null {
  if (order.type !== 'generate') return null;
  if (nextPlan !== undefined) return nextPlan;
  return order.memory === 'auto' || order.memory === 'resident' ? 'in_turn' : null;
}

/** 128 + SIGKILL as shells and containers report it, 128 + SIGABRT as V8 leaves when its heap is full, and Windows' STATUS_NO_MEMORY. */
const OUT_OF_MEMORY_EXITS: ReadonlySet<number> = new Set([137, 134, 0xc0000017]);

function diagnose({ code, signal, error }: ProcessExit): Fault {
  if (error !== undefined) return { code: 'engine_crashed', what: `could not be started (${error.message})` };
  if (signal === 'SIGKILL' || signal === 'SIGABRT' || (code !== null && OUT_OF_MEMORY_EXITS.has(code))) {
    return { code: 'engine_out_of_memory', what: `was ended by ${signal ?? `exit code ${code}`}, as happens when memory runs out` };
  }
  return { code: 'engine_crashed', what: `ended with ${signal ?? `exit code ${code}`}` };
}

function faultOf(error: WireError): Fault {
  return { code: error.code === 'engine_out_of_memory' ? 'engine_out_of_memory' : 'engine_crashed', what: `reported: ${error.message}` };
}

const ADVICE: Record<Fault['code'], string> = {
  engine_crashed: 'Try again; the log has its last words.',
  engine_hung: 'Try again, with fewer other programs running.',
  engine_out_of_memory: 'Make a smaller picture, or close other programs.',
};

function faultError({ code, what }: Fault): AppError {
  return new AppError(code, `The engine's process failed twice on this picture: the second time it ${what}. ${ADVICE[code]}`, {});
}

function cancelled(): AppError {
  return new AppError('cancelled', 'The task was cancelled.', {});
}

function shuttingDown(): AppError {
  return new AppError('shutting_down', 'The program is shutting down; the task did not finish.', {});
}
