import { loadConfig } from '#main/config/config.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub/hub-client.ts';
import { REPOSITORY } from '../support/hub-repository.ts';

/** Downloads the repository of noise in a process that a test can kill: its argument is the data folder. Noise cannot run, so that is not checked. */
const [dataDir = ''] = process.argv.slice(2);
const { hub } = loadConfig(['--data-dir', dataDir]);
const library = createModelLibrary({ resourcesDir, dataDir, checkpointDirs: [], cacheDir: hub.cacheDir, hub: createHubClient(hub), log: console });
function exitWhenEnded({ name, state }: { name: string; state: string }): void {
  if (name === REPOSITORY && state === 'installed') process.exit(0);
  if (name === REPOSITORY && state === 'failed') process.exit(1);
}
library.watch(exitWhenEnded);
library.start();
exitWhenEnded(await library.act(REPOSITORY, 'install'));
