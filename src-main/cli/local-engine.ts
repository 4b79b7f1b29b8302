import { rm } from 'node:fs/promises';
import { createEngine, type SupervisedEngine } from '#main/engine/create-engine.ts';
import type { Engine, EngineHooks, TaskReport } from '#main/engine/engine.ts';
import type { Accuracy } from '#main/engine/protocol.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { reportTo } from '#main/lib/report-to.ts';
import { chooseEngines } from '#main/studio/choose-engines.ts';
import { deviceProbes } from '#main/studio/device-probes.ts';
import { engineEnvironment } from '#main/studio/engine-environment.ts';
import type { Settings } from '#shared/protocol/settings.ts';
import { saveResult } from './save-result.ts';

interface LocalEngineOptions {
  device: Settings['device'];
  accuracy: Accuracy;
  dataDir: string;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** The engine of a command that works without a server. Throws `device_unavailable`. */
export async function createLocalEngine({ device, accuracy, dataDir, log }: LocalEngineOptions): Promise<SupervisedEngine> {
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: engineEnvironment(dataDir) });
  const probes = deviceProbes({ spawn, dataDir, binding: 'auto', active: () => [], log });
  const [config] = await chooseEngines({ device, accuracy, memory: 'auto', binding: 'auto', priority: null, dataDir }, probes);
  return createEngine({ spawn, devices: [config], log });
}

export interface LocalEngine {
  engine: Engine;
  /** Runs a task that writes `draft`, with a progress bar on standard error; then moves the file to `path` and prints that on standard output. */
  produce(draft: string, path: string, run: (hooks: EngineHooks, signal: AbortSignal) => Promise<TaskReport>): Promise<void>;
}

/** As `createLocalEngine`, for tasks that write files. Ctrl+C cancels them. */
export async function openLocalEngine(options: LocalEngineOptions): Promise<LocalEngine> {
  const engine = await createLocalEngine(options);
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  return {
    engine,
    async produce(draft, path, run) {
      const { setbacks } = await run(progressBar(), abort.signal).catch(async (error: unknown) => {
        await rm(draft, { force: true });
        throw error;
      });
      reportTo(process.stderr).write('\n');
      for (const setback of setbacks) console.error(setback);
      await saveResult(draft, path);
      console.log(path);
    },
  };
}

const BAR_WIDTH = 30;

function progressBar(): EngineHooks {
  const report = reportTo(process.stderr);
  return {
    onProgress: ({ stage, done, total }) => {
      const filled = total > 0 ? Math.round((BAR_WIDTH * done) / total) : 0;
      const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
      const line = `${stage.padEnd(10)} [${bar}] ${done}/${total}`;
      report.write(report.isTTY ? `\r${line}  ` : `${line}\n`);
    },
    onModelDone: () => {},
  };
}
