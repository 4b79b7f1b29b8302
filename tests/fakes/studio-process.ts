import { z } from 'zod';
import { loadConfig } from '#main/config/config.ts';
import { createLog } from '#main/server/log.ts';
import { startStudio } from '#main/studio/start-studio.ts';
import { type FakeEngineOptions, spawnFakeEngine } from './fake-engine.ts';

/**
 * The server in a separate process, as `src-main/headless.ts` runs it, with fake engine processes instead of the models: for what floods, measures or
 * kills it. Arguments: the fake engine's options as JSON, then the server's options. It talks to its parent over IPC; see `tests/support/studio-process.ts`.
 */
const [engineOptions = '{}', ...argv] = process.argv.slice(2);
const engine: FakeEngineOptions = JSON.parse(engineOptions);
const config = loadConfig(argv, {});
const studio = await startStudio({ config, spawn: spawnFakeEngine(engine), log: createLog(config.logLevel) });

process.on('message', (message) => {
  z.literal('memory').parse(message);
  // twice: what finalizers let go in the first run is taken by the second
  global.gc?.();
  global.gc?.();
  process.send?.({ type: 'memory', ...process.memoryUsage() });
});
process.once('SIGTERM', () => void studio.close('park').then(() => process.exit(0)));
process.on('disconnect', () => process.exit(0));
process.send?.({ type: 'ready', port: studio.port });
