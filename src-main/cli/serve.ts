import { type Config, loadConfig, usage } from '#main/config/config.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { reportTo } from '#main/lib/report-to.ts';
import { rotateAccessKey } from '#main/server/access/access-key.ts';
import { serverUrl } from '#main/server/listen.ts';
import { createLog } from '#main/server/log.ts';
import { engineEnvironment } from '#main/studio/engine-environment.ts';
import { startStudio } from '#main/studio/start-studio.ts';
import type { EndSignals } from './end-signals.ts';

/** The server without a window. Standard output has the access key and the line `ready http://HOST:PORT`, standard error the log. */
export async function serve(argv: readonly string[], signals: EndSignals): Promise<void> {
  const config = loadConfig(argv);
  const output = reportTo(process.stdout);
  if (config.help) return output.write(usage);
  if (config.newKey) return output.write(`access key for other machines: ${rotateAccessKey(config.dataDir)}\n`);
  const log = createLog(config.logLevel);
  for (const notice of config.notices) log.warn(notice);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'the server failed and exits');
    process.exit(1);
  });
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: engineEnvironment(config.dataDir), priority: config.priority ?? 'normal' });
  const studio = await startStudio({ config, spawn, log });
  signals.closeWith(async (signal) => {
    log.info({ signal }, 'parking the running job, then exiting; a second signal ends at once');
    await studio.close('park').catch((error: unknown) => {
      log.fatal({ err: error }, 'the shutdown was not clean');
      throw error;
    });
  });
  if (!config.open && !isLoopback(config)) output.write(`access key for other machines: ${studio.accessKey.text()}\n`);
  output.write(`ready ${serverUrl(config.host, studio.port)}\n`);
}

function isLoopback({ host }: Config): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
