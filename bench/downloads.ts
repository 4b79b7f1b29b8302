import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub/hub-client.ts';
import { COMMIT, noiseRepository, REPOSITORY } from '../tests/support/hub-repository.ts';
import { CDN_ADDRESS, type Fault, startHubServer } from '../tests/support/hub-server.ts';
import { killDownloads } from '../tests/support/killed-download.ts';
import { publish } from './harness/results.ts';
import { figure, type Row } from './harness/row.ts';

const KILLS = 50;
const KILLED_BYTES = 400_000_000;
const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
const FAULTY_BYTES = 40_000_000;

const descriptions: Readonly<Record<string, string>> = {
  cut: 'the connection breaks in the middle',
  flip: 'a bit is flipped',
  short: 'fewer bytes than requested',
  long: 'more bytes than requested',
  'other-range': 'another range than requested',
  'other-length': 'another file length than announced',
  'ignore-range': 'the whole file instead of the range',
  'new-etag': 'another ETag in the middle',
  'range-as-200': 'the range with HTTP 200',
  'refuse-ranges': 'HTTP 403 to every range',
  gzip: 'a compressed answer',
  'error-500': 'HTTP 500',
  'error-416': 'HTTP 416',
  expired: 'HTTP 403, a signed address expired',
  wait: 'HTTP 429 with Retry-After',
  stall: 'silence in the middle',
  html: 'a web page with HTTP 200',
  'to-http': 'a redirect to http',
  'to-private': 'a redirect to a private address',
  'to-name-of-private': 'a redirect to a name of a private address',
  loop: 'endless redirects',
};

/** What goes wrong, and for how many consecutive answers for the large file; redirects do so always. */
const faults: [Fault, number][] = [
  ['cut', 10],
  ['flip', 1],
  ['short', 10],
  ['long', 10],
  ['other-range', 10],
  ['other-length', 10],
  ['ignore-range', Number.POSITIVE_INFINITY],
  ['new-etag', 1],
  ['range-as-200', 10],
  ['refuse-ranges', Number.POSITIVE_INFINITY],
  ['gzip', 10],
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

/** Downloads that are killed, and downloads from a server that misbehaves in every way: whether the right bytes arrive, and how many are fetched for them. */
export async function measureDownloads(): Promise<void> {
  const kills = await killDownloads(KILLS, KILLED_BYTES);
  const size = (bytes: number) => ({ name: 'size', series: [bytes] });
  const rows: Row[] = [
    {
      ...figure(`killed ${KILLS} times at random (SIGKILL)`, kills.sentBytes, 'bytes'),
      peer: size(kills.sizeBytes),
      note: `${kills.isRight ? 'right bytes' : '**wrong bytes**'}; ${kills.resumed} runs resumed a partial file`,
    },
    figure('most that one kill made it fetch again', kills.mostLostBytes, 'bytes', { most: 8e6 }),
  ];
  for (const [fault, times] of faults) rows.push(await downloadWith(fault, times));
  await publish({ name: 'downloads', what: 'fetched bytes beside the size of the model, when the process is killed or the server answers badly', rows });
}

async function downloadWith(fault: Fault, times: number): Promise<Row> {
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
    const isRight = state === 'installed' && (await isWhole(join(folder, 'hub'), repository.files));
    const sizeBytes = [...repository.files.values()].reduce((sum, { length }) => sum + length, 0);
    const outcome = isRight ? 'right bytes' : state === 'failed' ? `refused: ${withoutPlace(error?.message ?? '')}` : `**${state}**`;
    return {
      ...figure(`${descriptions[fault] ?? fault}, ${server.faults.get(fault) ?? 0} times`, library.counts.fetchedBytes, 'bytes'),
      peer: { name: 'size', series: [sizeBytes] },
      note: outcome,
    };
  } finally {
    await library.close();
    await hub.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes ports and the names of this machine from an error message. */
function withoutPlace(message: string): string {
  return message.replaceAll(/:\d{4,5}\b/g, '').replaceAll(hostname(), 'a name');
}

async function isWhole(cacheDir: string, files: ReadonlyMap<string, Buffer>): Promise<boolean> {
  const [name = ''] = await readdir(cacheDir);
  const same = await Promise.all([...files].map(async ([path, bytes]) => (await readFile(join(cacheDir, name, 'snapshots', COMMIT, path))).equals(bytes)));
  return same.every((isSame) => isSame);
}
