import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { resourcesDir } from '#main/lib/program-files.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub-client.ts';
import { programVersion } from '#main/program-version.ts';
import { COMMIT, noiseRepository, REPOSITORY } from '../tests/support/hub-repository.ts';
import { CDN_ADDRESS, type Fault, startHubServer } from '../tests/support/hub-server.ts';
import { killDownloads } from '../tests/support/killed-download.ts';
import { machineName } from './machine.ts';
import { resultsFile } from './results.ts';

const downloadResultsSchema = z.object({
  date: z.string(),
  machine: z.string(),
  version: z.string(),
  node: z.string(),
  kills: z.object({
    kills: z.number(),
    sizeBytes: z.number(),
    sentBytes: z.number(),
    mostLostBytes: z.number(),
    resumed: z.number(),
    isRight: z.boolean(),
  }),
  /** One download for each way in which a server can misbehave. */
  faults: z.array(
    z.object({
      fault: z.string(),
      /** How often it happened. */
      times: z.number(),
      sizeBytes: z.number(),
      fetchedBytes: z.number(),
      state: z.string(),
      error: z.string().nullable(),
      isRight: z.boolean(),
    }),
  ),
});
type DownloadResults = z.infer<typeof downloadResultsSchema>;

const KILLS = 50;
const KILLED_BYTES = 400_000_000;
const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
const FAULTY_BYTES = 40_000_000;

/** What goes wrong, at which share of the answers; those without a share go wrong always. */
const faults: [Fault, number][] = [
  ['cut', 0.3],
  ['flip', 0.01],
  ['short', 0.3],
  ['long', 0.3],
  ['other-range', 0.3],
  ['other-length', 0.3],
  ['ignore-range', 1],
  ['new-etag', 0.05],
  ['error-500', 0.3],
  ['error-416', 0.3],
  ['expired', 0.3],
  ['wait', 0.1],
  ['stall', 0.02],
  ['html', 0.02],
  ['to-http', 1],
  ['to-private', 1],
  ['to-name-of-private', 1],
  ['loop', 1],
];

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
  for (const [fault, share] of faults) {
    const row = await downloadWith(fault, share);
    results.faults.push(row);
    console.log(
      `  ${fault}: ${row.times} times, ${row.state}${row.isRight ? ' with the right bytes' : ''}, ${megabytes(row.fetchedBytes)} fetched ${row.error ?? ''}`,
    );
  }
  await writeFile(resultsFile('downloads'), `${JSON.stringify(results, null, 2)}\n`);
}

async function downloadWith(fault: Fault, share: number): Promise<DownloadResults['faults'][number]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-downloads-'));
  const repository = noiseRepository(FAULTY_BYTES);
  const server = await startHubServer(repository);
  const random = seededRandom();
  server.fault = ({ path }) => (path === WEIGHTS && random() < share ? fault : null);
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
      error: error?.message.replaceAll(/:\d{4,5}\b/g, '') ?? null,
      isRight: state === 'installed' && (await isWhole(join(folder, 'hub'), repository.files)),
    };
  } finally {
    await library.close();
    await hub.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function isWhole(cacheDir: string, files: ReadonlyMap<string, Buffer>): Promise<boolean> {
  const [name = ''] = await readdir(cacheDir);
  const same = await Promise.all([...files].map(async ([path, bytes]) => (await readFile(join(cacheDir, name, 'snapshots', COMMIT, path))).equals(bytes)));
  return same.every((isSame) => isSame);
}

/** The same sequence each time, from 0 to 1. Source: Numerical Recipes, 3rd edition, 7.1 (the quick linear congruential generator). */
function seededRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
