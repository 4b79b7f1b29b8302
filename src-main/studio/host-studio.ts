import { type Config, loadConfig } from '#main/config/config.ts';
import { desktopConfigArguments } from '#main/config/launch-arguments.ts';
import type { EngineProcess } from '#main/engine/engine-process.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { KEY_COOKIE } from '#main/server/access/access-key.ts';
import { createLog, type Log } from '#main/server/log.ts';
import type { ProviderName } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { attachStudio } from './attach-studio.ts';
import { engineEnvironment } from './engine-environment.ts';
import type { HostedStudio, HostedStudioChoices } from './hosted-studio.ts';
import { type Studio, type StudioOptions, startStudio } from './start-studio.ts';

/** Starts the engine's `entry` file as a process with this environment. */
type SpawnInEnvironment = (entry: string, env: NodeJS.ProcessEnv) => EngineProcess;

/**
 * The studio for the desktop app: started inside the app, on a free port if the wanted one is taken, or attached to our own server if one runs on this data
 * folder already. Throws as `startStudio`.
 */
export async function openStudio({ host, dataDir, argv }: HostedStudioChoices, spawnEngine: SpawnInEnvironment): Promise<HostedStudio> {
  const chosen = loadConfig(desktopConfigArguments(argv, { host, dataDir }));
  const config: Config = { ...chosen, priority: chosen.priority ?? 'low' };
  const log = createLog(config.logLevel);
  for (const notice of config.notices) log.warn(notice);
  try {
    return await hostStudio(config, spawnEngine, log);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'data_folder_in_use') throw error;
    const attached = await attachStudio(config.dataDir, log);
    if (attached === null) throw error;
    return attached;
  }
}

async function hostStudio(config: Config, spawnEngine: SpawnInEnvironment, log: Log): Promise<HostedStudio> {
  const entry = entryFile('engine/worker.ts');
  const environment = engineEnvironment(config.dataDir);
  const spawn = (provider: ProviderName) => spawnEngine(entry, environment(provider));
  const { studio, takenPort } = await startOnFreePort({ config, spawn, log });
  const { jobs } = studio;
  return {
    origin: `http://127.0.0.1:${studio.port}`,
    log,
    keyCookie: () => ({ name: KEY_COOKIE, value: studio.accessKey.cookieValue() }),
    takenPort,
    isAttached: false,
    onEnd: () => {},
    watchJobs: (listener) => jobs.connect({ clientId: null }, listener).watch({ all: true }),
    imageFile: (filename) => jobs.imageFile(filename),
    isPaused: () => jobs.summary().paused,
    setPaused: (isPaused) => {
      jobs.queue({ action: isPaused ? 'pause' : 'resume' }).catch((error: unknown) => log.error({ err: error }, 'the queue could not be paused or resumed'));
    },
    recentImages: (count) =>
      jobs
        .list({ status: 'completed', limit: count })
        .jobs.map((job) => ({ jobId: job.job_id, prompt: job.task_type === 'upscale' ? (job.result?.filename ?? '') : job.params.prompt })),
    unfinishedJobs: () => unfinishedJobs(jobs),
    close: () => studio.close('park'),
  };
}

async function startOnFreePort(options: StudioOptions): Promise<{ studio: Studio; takenPort: number | null }> {
  try {
    return { studio: await startStudio(options), takenPort: null };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'port_taken') throw error;
    return { studio: await startStudio({ ...options, config: { ...options.config, port: 0 } }), takenPort: options.config.port };
  }
}

function unfinishedJobs(jobs: Jobs): string[] {
  const unfinished = (['generated', 'processing', 'pending'] as const).flatMap((status) => jobs.list({ status, limit: 500 }).jobs);
  return unfinished.map(({ job_id }) => job_id);
}
