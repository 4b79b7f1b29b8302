import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';
import { COMMIT, noiseRepository, REPOSITORY } from './hub-repository.ts';
import { type HubServer, startHubServer } from './hub-server.ts';

export interface KilledDownload {
  kills: number;
  sizeBytes: number;
  sentBytes: number;
  /** Lost per kill: bytes of the large file that were sent but were not on disk afterwards. */
  mostLostBytes: number;
  /** Runs that found a partial file from the previous run. */
  resumed: number;
  /** Every file is complete with the right bytes, and no partial file remains. */
  isRight: boolean;
}

const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';

/** Downloads a model in a process that is killed `kills` times with SIGKILL, each time after a random delay; then it may finish. */
export async function killDownloads(kills: number, transformerBytes: number): Promise<KilledDownload> {
  const folder = await mkdtemp(join(tmpdir(), 'killed-download-'));
  const repository = noiseRepository(transformerBytes);
  const server = await startHubServer(repository);
  server.redirects = false;
  server.bytesPerSecond = 2_000_000;
  const repositoryDir = join(folder, 'hub', `models--${REPOSITORY.replaceAll('/', '--')}`);
  try {
    await writeFile(join(folder, 'ca.pem'), server.cert);
    let [mostLostBytes, resumed, partBytes] = [0, 0, 0];
    for (let kill = 0; kill < kills; kill++) {
      const sentBefore = server.sentBytes.get(WEIGHTS) ?? 0;
      if (partBytes > 0) resumed++;
      await killAtRandom(startInstall(folder, server), server);
      const nowBytes = await partSize(repositoryDir);
      mostLostBytes = Math.max(mostLostBytes, (server.sentBytes.get(WEIGHTS) ?? 0) - sentBefore - (nowBytes - partBytes));
      partBytes = nowBytes;
    }
    server.bytesPerSecond = null;
    const last = startInstall(folder, server);
    const [status] = await once(last, 'exit');
    const sizeBytes = [...repository.files.values()].reduce((sum, { length }) => sum + length, 0);
    const sentBytes = [...server.sentBytes.values()].reduce((a, b) => a + b, 0);
    const isRight = status === 0 && (await isWhole(repositoryDir, repository.files));
    return { kills, sizeBytes, sentBytes, mostLostBytes, resumed, isRight };
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function startInstall(folder: string, server: HubServer): ChildProcess {
  return spawn(process.execPath, [join(programDir, 'tests/fakes/model-download-process.ts'), join(folder, 'data')], {
    env: { ...process.env, HF_ENDPOINT: server.endpoint, HF_HOME: folder, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'), NO_PROXY: '*' },
    stdio: 'ignore',
  });
}

const FIRST_REQUEST_MS = 60_000;
const LONGEST_RUN_MS = 1_500;

/** Most kills hit the download, since the clock starts at its first request. */
async function killAtRandom(child: ChildProcess, server: HubServer): Promise<void> {
  const before = server.requests;
  const exited = once(child, 'exit');
  for (let waited = 0; server.requests === before && child.exitCode === null && waited < FIRST_REQUEST_MS; waited += 20) await pause(20);
  await pause(Math.random() * LONGEST_RUN_MS);
  child.kill('SIGKILL');
  await exited;
}

async function partSize(repositoryDir: string): Promise<number> {
  const names = await readdir(join(repositoryDir, 'blobs')).catch(() => []);
  const sizes = await Promise.all(
    names.filter((name) => /^[0-9a-f]{64}/.test(name)).map(async (name) => (await stat(join(repositoryDir, 'blobs', name))).size),
  );
  // the other large files are much smaller and come first
  return Math.max(0, ...sizes.filter((size) => size > 150_000));
}

async function isWhole(repositoryDir: string, files: ReadonlyMap<string, Buffer>): Promise<boolean> {
  const halves = (await readdir(join(repositoryDir, 'blobs'))).filter((name) => name.includes('incomplete'));
  const same = await Promise.all([...files].map(async ([path, bytes]) => (await readFile(join(repositoryDir, 'snapshots', COMMIT, path))).equals(bytes)));
  return halves.length === 0 && same.every((isSame) => isSame);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
