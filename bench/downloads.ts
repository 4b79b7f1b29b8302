import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub/hub-client.ts';
import { COMMIT, noiseRepository, REPOSITORY } from '../tests/support/hub-repository.ts';
import { CDN_ADDRESS, type Fault, startHubServer } from '../tests/support/hub-server.ts';
import { killDownloads } from '../tests/support/killed-download.ts';
import { machineName } from './machine.ts';
import type { DownloadResults } from './results.ts';
import { resultsFile } from './results-file.ts';

const KILLS = 50;
const KILLED_BYTES = 400_000_000;
const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
const FAULTY_BYTES = 40_000_000;

/** What goes wrong, and at how many answers in a row for the large file; redirects that lead astray do so always. */
const faults: [Fault, number][] = [
  ['cut', 10],
  ['flip', 1],
  ['short', 10],
  ['long', 10],
  ['other-range', 10],
  ['other-length', 10],
  ['ignore-range', Number.POSITIVE_INFINITY],
  ['new-etag', 1],
  ['error-500', 10],
  ['error-416', 10],
  ['expired', 10],
  ['wait', 4],
  ['stall', 2],
  ['html', 2],
  ['to-http', Number.POSITIVE_INFINITY],
  ['to-private', Number.POSITIVE_INFINITY],
  ['to-name-of-private', Number.POSITIVE_INFINITY],
  ['loop', Number.POSITIVE_INFINITY],
];
const FIRST_BAD_ANSWER = 12;
const isRedirect = (fault: Fault): boolean => fault.startsWith('to-') || fault === 'loop';

/** Downloads that are killed, and downloads from a server that misbehaves in every way: whether the right bytes are there in the end, and what it cost. */
export async function measureDownloads(): Promise<void> {
  console.log(`${KILLS} kills of a download of ${megabytes(KILLED_BYTES)}`);
  const kills = await killDownloads(KILLS, KILLED_BYTES);
  console.log(
    `  ${kills.isRight ? 'the right bytes' : 'WRONG BYTES'}; a kill cost ${megabytes(kills.mostLostBytes)} at most; ${kills.resumed} runs went on with a part`,
  );
  const results: DownloadResults = {
    date: new Date().toISOString().slice(0, 10),
    machine: machineName(),
    version: programVersion(),
    node: process.version,
    kills,
    faults: [],
  };
  for (const [fault, times] of faults) {
    const row = await downloadWith(fault, times);
    results.faults.push(row);
    console.log(
      `  ${fault}: ${row.times} times, ${row.state}${row.isRight ? ' with the right bytes' : ''}, ${megabytes(row.fetchedBytes)} fetched ${row.error ?? ''}`,
    );
  }
  await writeFile(resultsFile('downloads'), `${JSON.stringify(results, null, 2)}\n`);
}

async function downloadWith(fault: Fault, times: number): Promise<DownloadResults['faults'][number]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-downloads-'));
  const repository = noiseRepository(FAULTY_BYTES);
  const server = await startHubServer(repository);
  const first = isRedirect(fault) ? 0 : FIRST_BAD_ANSWER;
  server.fault = ({ path, count }) => (path === WEIGHTS && count >= first && count < first + times ? fault : null);
  const proxies = { http: '', https: '', none: '' };
  const hub = createHubClient({
    endpoint: server.endpoint,
    token: null,
    proxies,
    ca: server.cert,
    silenceMs: 1_000,
    isPublic: (address) => address === CDN_ADDRESS,
  });
  const library = await createModelLibrary({ resourcesDir, dataDir: folder, checkpointDirs: [], cacheDir: join(folder, 'hub'), hub, log: { warn: () => {} } });
  try {
    library.start();
    const ended = new Promise<{ state: string; error: { message: string } | null }>((resolve) => {
      library.watch((entry) => {
        if (entry.state === 'installed' || entry.state === 'failed') resolve(entry);
      });
    });
    await library.act(REPOSITORY, 'install');
    const { state, error } = await ended;
    return {
      fault,
      times: server.faults.get(fault) ?? 0,
      sizeBytes: [...repository.files.values()].reduce((sum, { length }) => sum + length, 0),
      fetchedBytes: library.counts.fetchedBytes,
      state,
      error: error === null ? null : withoutPlace(error.message),
      isRight: state === 'installed' && (await isWhole(join(folder, 'hub'), repository.files)),
    };
  } finally {
    await library.close();
    await hub.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A server's port and this machine's names say nothing about a download. */
function withoutPlace(message: string): string {
  return message.replaceAll(/:\d{4,5}\b/g, '').replaceAll(hostname(), 'a name');
}

async function isWhole(cacheDir: string, files: ReadonlyMap<string, Buffer>): Promise<boolean> {
  const [name = ''] = await readdir(cacheDir);
  const same = await Promise.all([...files].map(async ([path, bytes]) => (await readFile(join(cacheDir, name, 'snapshots', COMMIT, path))).equals(bytes)));
  return same.every((isSame) => isSame);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
