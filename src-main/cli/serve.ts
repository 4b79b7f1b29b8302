import { type Config, loadConfig, usage } from '#main/config/config.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { rotateAccessKey } from '#main/server/access/access-key.ts';
import { serverUrl } from '#main/server/listen.ts';
import { createLog, type Log } from '#main/server/log.ts';
import { engineEnvironment } from '#main/studio/engine-environment.ts';
import { type Studio, startStudio } from '#main/studio/start-studio.ts';

/** The program without a screen: what start.sh runs. Standard output holds the access key and the line `ready http://HOST:PORT`; the log is on standard error. */
export async function serve(argv: readonly string[]): Promise<void> {
  const config = loadConfig(argv);
  if (config.help) return say(usage);
  if (config.newKey) return say(`access key for other machines: ${rotateAccessKey(config.dataDir)}\n`);
  const log = createLog(config.logLevel);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'the server failed and ends');
    process.exit(1);
  });
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: engineEnvironment(config.dataDir) });
  const studio = await startStudio({ config, spawn, log });
  endOnSignal(studio, log);
  if (!config.open && !isLoopback(config)) say(`access key for other machines: ${studio.accessKey.text()}\n`);
  say(`ready ${serverUrl(config.host, studio.port)}\n`);
}

/** The first signal parks the running job for the next start; a second one does not wait for that. */
function endOnSignal(studio: Studio, log: Log): void {
  let isEnding = false;
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(status);
      isEnding = true;
      log.info({ signal }, 'parking the running job, then ending; a second signal ends at once');
      studio.close('park').then(
        () => process.exit(0),
        (error: unknown) => {
          log.fatal({ err: error }, 'the end was not clean');
          process.exit(1);
        },
      );
    });
  }
}

function isLoopback({ host }: Config): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function say(text: string): void {
  process.stdout.write(text);
}
