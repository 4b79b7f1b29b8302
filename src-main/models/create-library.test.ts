import { createHash, randomBytes } from 'node:crypto';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';
import type { ModelEntry } from '#shared/domain/model.ts';
import { bundledRepository, COMMIT, noiseRepository, REPOSITORY, type ServedRepository } from '../../tests/support/hub-repository.ts';
import { CDN_ADDRESS, type Fault, HUB_ADDRESS, HUB_TOKEN, type HubServer, startHubServer, treeOf } from '../../tests/support/hub-server.ts';
import { createModelLibrary } from './create-library.ts';
import { createHubClient, type HubClient } from './hub/hub-client.ts';

type Library = Awaited<ReturnType<typeof createModelLibrary>>;

const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
const repositoryDir = `models--${REPOSITORY.replaceAll('/', '--')}`;
const bundledDir = join(resourcesDir, 'models/storybook-uint4');

let dir: string;
let repository: ServedRepository;
let server: HubServer;
let client: HubClient;
let libraries: Library[];
/** What the downloader would have waited, in milliseconds. */
let waits: number[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'library-'));
  libraries = [];
  await serve(noiseRepository(4_000_000));
  waits = [];
});
afterEach(async () => {
  for (const library of libraries) await library.close();
  await client.close();
  await server.close();
  await rm(dir, { recursive: true });
});

async function serve(served: ServedRepository): Promise<void> {
  repository = served;
  server = await startHubServer(repository);
  client = clientOf(server.endpoint);
}

/** For what takes the bundled checkpoint's own bytes, or more than fits into the ranges that are asked for at once. */
async function serveInstead(served: ServedRepository): Promise<void> {
  await client.close();
  await server.close();
  await serve(served);
}

function clientOf(endpoint: string, proxy = ''): HubClient {
  const proxies = { http: '', https: proxy, none: '' };
  return createHubClient({ endpoint, token: HUB_TOKEN, proxies, ca: server.cert, silenceMs: 1_500, pause, isPublic: (address) => address === CDN_ADDRESS });
}

async function openLibrary(checkpointDirs: string[] = []): Promise<Library> {
  const library = await createModelLibrary({
    resourcesDir,
    dataDir: join(dir, 'data'),
    checkpointDirs,
    cacheDir: join(dir, 'hub'),
    hub: client,
    log: { warn: () => {} },
    pause,
  });
  library.start();
  libraries.push(library);
  return library;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  waits.push(milliseconds);
  await new Promise((resolve) => setTimeout(resolve, 1));
  signal.throwIfAborted();
}

/** Resolves with the first state of the model that is one of `states`. */
function reached(library: Library, states: ModelEntry['state'][], name = REPOSITORY): Promise<ModelEntry> {
  return new Promise((resolve) => {
    const unwatch = library.watch((entry) => {
      if (entry.name !== name || !states.includes(entry.state)) return;
      unwatch();
      resolve(entry);
    });
  });
}

async function install(library: Library): Promise<ModelEntry> {
  const ended = reached(library, ['installed', 'failed']);
  await library.act(REPOSITORY, 'install');
  return ended;
}

const entryOf = async (library: Library, name: string) => (await library.entries()).find((entry) => entry.name === name);
const cached = (...path: string[]) => join(dir, 'hub', repositoryDir, ...path);
const total = () => [...repository.files.values()].reduce((sum, { length }) => sum + length, 0);

/** Every file of the repository stands under its name with its bytes, and nothing half is left. */
async function expectWhole(): Promise<void> {
  for (const [path, bytes] of repository.files) {
    const found = await readFile(cached('snapshots', COMMIT, path));
    expect(found.equals(bytes), path).toBe(true);
  }
  expect((await readdir(cached('blobs'))).filter((name) => name.includes('incomplete'))).toEqual([]);
}

describe('a download', () => {
  test('goes into the cache of Hugging Face, reports progress, and replaces the bundled checkpoint', async () => {
    await serveInstead(bundledRepository());
    const library = await openLibrary();
    expect(await entryOf(library, REPOSITORY)).toMatchObject({ state: 'absent', kind: 'uint4', bytes_total: 6_600_000_000 });
    const seen: ModelEntry[] = [];
    library.watch((entry) => seen.push(entry));
    const installed = await install(library);

    expect(installed).toMatchObject({ state: 'installed', active: true, license: 'apache-2.0', error: null, source: { type: 'hub', revision: COMMIT } });
    expect(seen.map(({ state }) => state)).toEqual(expect.arrayContaining(['downloading', 'installed']));
    await expectWhole();
    const sha256 = createHash('sha256')
      .update(repository.files.get(WEIGHTS) ?? '')
      .digest('hex');
    expect(await readlink(cached('snapshots', COMMIT, WEIGHTS))).toBe(`../../../blobs/${sha256}`);
    expect(await readFile(cached('refs/main'), 'utf8')).toBe(COMMIT);
    expect(server.leaks).toEqual([]);

    // the same files are the same checkpoint, wherever they came from
    const chosen = await library.checkpointFor('uint4');
    expect(chosen).toMatchObject({ name: REPOSITORY, bundled: false, dir: cached('snapshots', COMMIT) });
    await library.act('storybook-uint4', 'use');
    expect(await library.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4', fingerprint: chosen.fingerprint });
    expect((await library.checkpointFor('int8')).name).toBe('storybook-int8');
  });

  /** The fault, for how many responses with the transformer's weights, and the counter that shows it. */
  const mended: [Fault, number, string][] = [
    ['cut', 5, 'retries'],
    ['flip', 1, 'wrongHashes'],
    ['short', 4, 'retries'],
    ['long', 4, 'retries'],
    ['other-range', 4, 'retries'],
    ['other-length', 4, 'retries'],
    ['ignore-range', 99, 'rangesIgnored'],
    ['range-as-200', 99, 'fetchedBytes'],
    ['refuse-ranges', 99, 'rangesIgnored'],
    ['gzip', 4, 'retries'],
    ['error-500', 6, 'retries'],
    ['error-416', 3, 'retries'],
    ['expired', 2, 'retries'],
    ['wait', 3, 'waits'],
    ['stall', 1, 'retries'],
    ['html', 1, 'retries'],
  ];
  test.each(mended)('ends with the right bytes though the server answers with %s', async (fault, times, counter) => {
    server.fault = ({ path, count }) => (path === WEIGHTS && count >= 2 && count < 2 + times ? fault : null);
    const library = await openLibrary();
    expect(await install(library)).toMatchObject({ state: 'installed', error: null });
    await expectWhole();
    expect(server.faults.get(fault)).toBeGreaterThan(0);
    expect(Object.entries(library.counts).find(([name]) => name === counter)?.[1]).toBeGreaterThan(0);
    if (fault === 'wait') expect(waits).toContain(1000);
  });

  test.each<[Fault, (count: number) => boolean]>([
    ['new-etag', () => true],
    ['range-as-200', () => true],
    ['ignore-range', (count) => count === 3],
  ])('is not fetched twice where the server answers with %s', async (fault, isFaulty) => {
    await serveInstead(noiseRepository(12_000_000));
    server.fault = ({ path, count }) => (path === WEIGHTS && isFaulty(count) ? fault : null);
    const library = await openLibrary();
    expect(await install(library)).toMatchObject({ state: 'installed' });
    await expectWhole();
    expect(server.faults.get(fault)).toBeGreaterThan(0);
    expect(library.counts).toMatchObject({ fetchedBytes: total(), rangesIgnored: 0 });
  });

  const refused: [Fault, string][] = [
    ['to-http', 'which is not https'],
    ['to-private', 'a private address'],
    ['to-name-of-private', 'private address'],
    ['loop', 'redirects more than 5 times'],
  ];
  test.each(refused)('does not follow a redirect %s', async (fault, reason) => {
    server.fault = ({ path }) => (path === WEIGHTS ? fault : null);
    const { state, error } = await install(await openLibrary());
    expect(state).toBe('failed');
    expect(error?.code).toBe('download_refused');
    expect(error?.message).toContain(reason);
  });

  test('of bytes that never have the hash fails with that, and leaves nothing that could be taken for the file', async () => {
    server.fault = ({ path, start }) => (path === WEIGHTS && start === 0 ? 'flip' : null);
    const { state, error } = await install(await openLibrary());
    expect([state, error?.code]).toEqual(['failed', 'download_failed']);
    expect(error?.message).toContain('failed hash verification 3 times');
    await expect(stat(cached('snapshots', COMMIT, WEIGHTS))).rejects.toThrow('ENOENT');
  });

  test('is paused and goes on after a restart; what is fetched twice stays under 8 MB', async () => {
    await serveInstead(noiseRepository(20_000_000));
    server.bytesPerSecond = 2_000_000;
    const library = await openLibrary();
    const half = new Promise<void>((resolve) => {
      library.watch(({ bytes_done }) => {
        if (bytes_done > total() / 3) resolve();
      });
    });
    await library.act(REPOSITORY, 'install');
    await half;
    const paused = await library.act(REPOSITORY, 'pause');
    expect(paused).toMatchObject({ state: 'paused', bytes_total: total() });
    expect(paused.bytes_done).toBeGreaterThan(total() / 3);
    await library.close();

    server.bytesPerSecond = null;
    const again = await openLibrary();
    expect(await entryOf(again, REPOSITORY)).toMatchObject({ state: 'paused', bytes_done: paused.bytes_done });
    const ended = reached(again, ['installed', 'failed']);
    await again.act(REPOSITORY, 'resume');
    expect(await ended).toMatchObject({ state: 'installed' });
    await expectWhole();
    const sent = [...server.sentBytes.values()].reduce((a, b) => a + b, 0);
    expect(sent - total()).toBeLessThan(8_000_000);
  });

  test('that was running when the program ended continues at the next start', async () => {
    server.bytesPerSecond = 2_000_000;
    const library = await openLibrary();
    await library.act(REPOSITORY, 'install');
    await library.close();
    server.bytesPerSecond = null;
    const again = await openLibrary();
    expect(await reached(again, ['installed', 'failed'])).toMatchObject({ state: 'installed' });
  });

  test('goes through the proxy that the environment names', async () => {
    const asked: string[] = [];
    const proxy = createServer().on('connect', (request, socket: Socket) => {
      asked.push(request.url ?? '');
      const [host = '', port = ''] = (request.url ?? '').split(':');
      const onwards = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        onwards.pipe(socket).pipe(onwards);
      });
      for (const end of [socket, onwards]) end.on('error', () => end.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    await client.close();
    client = clientOf(server.endpoint, `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
    expect(await install(await openLibrary())).toMatchObject({ state: 'installed' });
    expect(new Set(asked.map((target) => target.split(':')[0]))).toEqual(new Set([HUB_ADDRESS, CDN_ADDRESS]));
    proxy.close();
  });

  test('waits as long as the list of files asks it to', async () => {
    server.api.busyAnswers = 3;
    expect(await install(await openLibrary())).toMatchObject({ state: 'installed' });
    expect(waits.slice(0, 3)).toEqual([7000, 7000, 7000]);
  });

  test('that was changed without a trace is found by verifying', async () => {
    const library = await openLibrary();
    await install(library);
    const path = await realpath(cached('snapshots', COMMIT, WEIGHTS));
    const { atime, mtime } = await stat(path);
    await writeFile(path, randomBytes(1000), { flag: 'r+' });
    await utimes(path, atime, mtime);
    const verified = reached(library, ['installed', 'damaged']);
    await library.act(REPOSITORY, 'verify');
    expect(await verified).toMatchObject({ state: 'damaged', error: { message: expect.stringContaining('Install it again') } });
  });

  test('goes no faster than its limit', async () => {
    const library = await openLibrary();
    await library.setLimits({ bytes_per_second: 50_000_000 });
    expect(await install(library)).toMatchObject({ state: 'installed' });
    // the pauses are not waited for here, but all the time that the bytes cost was asked for
    expect(waits.length).toBeGreaterThan(10);
    expect(JSON.parse(await readFile(join(dir, 'data/models.json'), 'utf8'))).toMatchObject({ limits: { bytes_per_second: 50_000_000 } });
  });

  test('does not write through a link in place of the part', async () => {
    await mkdir(cached('blobs'), { recursive: true });
    await writeFile(join(dir, 'precious'), 'precious');
    const sha256 = createHash('sha256')
      .update(repository.files.get(WEIGHTS) ?? '')
      .digest('hex');
    await symlink(join(dir, 'precious'), cached('blobs', `${sha256}.zimage.incomplete`));
    expect((await install(await openLibrary())).state).toBe('failed');
    expect(await readFile(join(dir, 'precious'), 'utf8')).toBe('precious');
  });

  test('uses what another tool has fetched, without asking anybody', async () => {
    await install(await openLibrary());
    await rm(join(dir, 'data'), { recursive: true });
    const before = server.requests;
    const library = await openLibrary();
    expect(await entryOf(library, REPOSITORY)).toMatchObject({ state: 'absent', source: { path: cached('snapshots', COMMIT) } });
    expect(await library.act(REPOSITORY, 'install')).toMatchObject({ state: 'installed', active: true, source: { type: 'folder' } });
    expect(server.requests).toBe(before);
    await library.act(REPOSITORY, 'remove');
    await expectWhole();
  });

  test('that is damaged on the disk is noticed, does not run, and is mended by fetching that file alone', async () => {
    const library = await openLibrary();
    await install(library);
    const blob = join(cached('snapshots', COMMIT), await readlink(cached('snapshots', COMMIT, WEIGHTS)).then((link) => join('transformer', link)));
    await writeFile(blob, randomBytes(1000), { flag: 'r+' });
    const damaged = await entryOf(library, REPOSITORY);
    expect(damaged).toMatchObject({ state: 'damaged', error: { code: 'checkpoint_damaged' } });
    await expect(library.checkpointFor('uint4')).rejects.toMatchObject({ code: 'checkpoint_damaged' });
    server.sentBytes.clear();
    expect(await install(library)).toMatchObject({ state: 'installed', error: null });
    expect([...server.sentBytes.keys()]).toEqual([WEIGHTS]);
    await expectWhole();
  });

  test('is removed with all its bytes, but for those that another snapshot uses', async () => {
    const library = await openLibrary();
    await install(library);
    const other = cached('snapshots', 'f'.repeat(40), 'vae');
    await mkdir(other, { recursive: true });
    const link = await readlink(cached('snapshots', COMMIT, 'vae/config.json'));
    await symlink(link, join(other, 'config.json'));
    expect(await library.act(REPOSITORY, 'remove')).toMatchObject({ state: 'absent' });
    expect(await readdir(cached('blobs'))).toEqual([link.split('/').at(-1)]);
    expect((await library.checkpointFor('uint4')).name).toBe('storybook-uint4');
  });
});

describe('a repository that is not to be taken', () => {
  async function failure(): Promise<{ code: string; message: string }> {
    const { state, error } = await install(await openLibrary());
    expect(state).toBe('failed');
    return error ?? { code: '', message: '' };
  }
  const withPath = (path: string, more: object = {}) => [...treeOf(repository.files), { type: 'file', path, size: 5, oid: 'a'.repeat(40), ...more }];

  test.each(['../outside.json', '/etc/x.json', 'vae/../../x.json', 'vae\\x.json', 'vae//x.json', 'C:x.json', 'vae/\u0000.json'])(
    'lists the file %j',
    async (path) => {
      server.api.tree = withPath(path);
      expect(await failure()).toMatchObject({ code: 'download_refused', message: expect.stringContaining('leads out of its folder') });
      expect(await readdir(dir)).not.toContain('outside.json');
    },
  );

  test('names two files whose names some systems cannot distinguish', async () => {
    server.api.tree = withPath('vae/CONFIG.json');
    expect(await failure()).toMatchObject({ code: 'download_refused', message: expect.stringContaining('vae/CONFIG.json twice') });
  });

  test('has pickles for weights: refused by name', async () => {
    repository.files.set('vae/diffusion_pytorch_model.bin', Buffer.from('pickle'));
    repository.files.delete('vae/diffusion_pytorch_model.safetensors');
    const { code, message } = await failure();
    expect(code).toBe('download_refused');
    expect(message).toContain('the pickle file vae/diffusion_pytorch_model.bin, which can run code');
  });

  test('is of another architecture: its own words say which', async () => {
    repository.files.delete('model_index.json');
    repository.files.set('config.json', Buffer.from('{"architectures":["LlamaForCausalLM"]}'));
    expect(await failure()).toEqual({
      code: 'checkpoint_unsupported',
      message: `${REPOSITORY} is a LlamaForCausalLM; a ZImagePipeline or Flux2KleinPipeline with a model_index.json is needed.`,
    });
  });

  test('is quantized in a way that is not run: known before a weight is fetched', async () => {
    const config = JSON.parse((repository.files.get('transformer/config.json') ?? '').toString());
    config.quantization_config.weights_dtype = 'float8_e4m3fn';
    repository.files.set('transformer/config.json', Buffer.from(JSON.stringify(config)));
    const { code, message } = await failure();
    expect(code).toBe('checkpoint_unsupported');
    expect(message).toContain('weights_dtype is "float8_e4m3fn"; int4 to int8, uint4 to uint8 and unquantized weights are supported');
    expect(message).toContain('Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32 runs here');
    expect(server.sentBytes.has(WEIGHTS)).toBe(false);
  });

  test('has no tokenizer: known from the list of files', async () => {
    repository.files.delete('tokenizer/tokenizer.json');
    const { code, message } = await failure();
    expect([code, server.sentBytes.has(WEIGHTS)]).toEqual(['checkpoint_unsupported', false]);
    expect(message).toContain('tokenizer/tokenizer.json is needed, or tokenizer/vocab.json with tokenizer/merges.txt');
  });

  test('needs more than the disk has: it fails before the first byte of weights and names the missing space', async () => {
    server.api.tree = withPath('vae/more.safetensors', { lfs: { oid: 'b'.repeat(64), size: 10 ** 15 } });
    const { code, message } = await failure();
    expect(code).toBe('disk_full');
    expect(message).toMatch(/needs 1000\d{3}\.\d\d GB .* Free \d+\.\d\d GB/);
    expect(server.sentBytes.has(WEIGHTS)).toBe(false);
  });

  test('has a list without hashes', async () => {
    server.api.tree = withPath('vae/more.json', { oid: 'main' });
    expect(await failure()).toMatchObject({ code: 'download_refused', message: expect.stringContaining('vae/more.json without a hash') });
  });

  test.each([
    [
      'a list of 17 MB',
      { tree: `[${'{"type":"file","path":"a.txt","size":1,"oid":"x"},'.repeat(350_000)}{}]` },
      'download_failed',
      'has more than 16777216 bytes',
    ],
    ['a web page in place of a list', { tree: '<html></html>' }, 'download_failed', 'returned invalid JSON'],
    ['a commit that is a path', { revision: { sha: '../../..' } }, 'download_failed', 'returned no commit'],
    ['nothing, for it wants an agreement', { status: 401, errorCode: 'GatedRepo' }, 'repository_unavailable', 'is gated'],
    ['nothing, for it is not there', { status: 404 }, 'repository_unavailable', 'does not exist'],
  ] as const)('answers with %s', async (_what, api, code, reason) => {
    server.api = api;
    expect(await failure()).toMatchObject({ code, message: expect.stringContaining(reason) });
  });

  test('cannot be reached: one sentence with what to look at, and no word of the token', async () => {
    const gone = server.endpoint;
    await server.close();
    await client.close();
    client = clientOf(gone);
    const { code, message } = await failure();
    expect(code).toBe('download_failed');
    expect(message).toMatch(/^127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)\. .*HF_ENDPOINT/);
    expect(await readFile(join(dir, 'data/models.json'), 'utf8')).not.toContain(HUB_TOKEN);
    server = await startHubServer(repository);
  });
});

describe('a folder of the user', () => {
  const folder = () => join(dir, 'my checkpoint');
  beforeEach(() => cp(bundledDir, folder(), { recursive: true }));

  test('is used where it is, once, and only forgotten', async () => {
    const library = await openLibrary();
    const added = await library.add({ dir: folder() });
    expect(added).toMatchObject({ name: 'my checkpoint', state: 'installed', active: true, kind: 'uint4', source: { type: 'folder', path: folder() } });
    expect((await library.add({ dir: folder() })).name).toBe('my checkpoint');
    expect((await library.checkpointFor('uint4')).dir).toBe(folder());
    await library.act('my checkpoint', 'remove');
    expect((await lstat(join(folder(), WEIGHTS))).isFile()).toBe(true);
    expect((await library.checkpointFor('uint4')).name).toBe('storybook-uint4');
    expect(await readdir(dir)).not.toContain('hub');
  });

  test('that was edited or moved is noticed; verifying takes it as it is', async () => {
    const library = await openLibrary();
    const { identity } = await library.add({ dir: folder() });
    await writeFile(join(folder(), WEIGHTS), randomBytes(1000), { flag: 'r+' });
    expect(await entryOf(library, 'my checkpoint')).toMatchObject({ state: 'damaged', error: { message: expect.stringContaining('Verify it') } });
    const verified = reached(library, ['installed'], 'my checkpoint');
    await library.act('my checkpoint', 'verify').catch((refused: unknown) => refused);
    expect((await verified).identity).not.toBe(identity);
    await rename(folder(), join(dir, 'elsewhere'));
    expect(await entryOf(library, 'my checkpoint')).toMatchObject({ state: 'damaged', active: true, error: { code: 'checkpoint_missing' } });
    await expect(library.checkpointFor('uint4')).rejects.toMatchObject({ code: 'checkpoint_missing' });
  });

  test('lacks a shard that its index names, or has pickles', async () => {
    const library = await openLibrary();
    const index = join(folder(), 'vae/diffusion_pytorch_model.safetensors.index.json');
    await writeFile(index, '{"weight_map":{"a":"shard-2.safetensors"}}');
    await expect(library.add({ dir: folder() })).rejects.toMatchObject({
      code: 'checkpoint_missing',
      message: expect.stringContaining('shard-2.safetensors is missing'),
    });
    await rm(index);
    await rename(join(folder(), 'vae/diffusion_pytorch_model.safetensors'), join(folder(), 'vae/model.ckpt'));
    await expect(library.add({ dir: folder() })).rejects.toMatchObject({
      code: 'checkpoint_unsupported',
      message: expect.stringContaining('model.ckpt is a pickle file'),
    });
  });

  test('is not downloaded, paused or verified as if it were', async () => {
    const library = await openLibrary([folder()]);
    for (const action of ['pause', 'resume', 'remove'] as const) {
      await expect(library.act('my checkpoint', action)).rejects.toMatchObject({ code: 'model_busy', data: { state: 'installed' } });
    }
    await expect(library.act('storybook-uint4', 'use')).rejects.toMatchObject({ code: 'model_busy', message: expect.stringContaining('--checkpoint') });
    await expect(library.act('storybook-int8', 'remove')).rejects.toMatchObject({
      code: 'model_busy',
      message: expect.stringContaining('comes with the program'),
    });
    await expect(library.act('unknown', 'use')).rejects.toMatchObject({ code: 'unknown_model' });
  });
});

test('the upscaler is chosen as a checkpoint is', async () => {
  const library = await openLibrary();
  expect((await library.upscaler()).name).toBe('realesr-general-x4v3');
  expect(await library.act('RealESRGAN_x4plus', 'use')).toMatchObject({ kind: 'upscaler', active: true });
  expect((await library.upscaler()).name).toBe('RealESRGAN_x4plus');
  expect((await (await openLibrary()).upscaler()).name).toBe('RealESRGAN_x4plus');
});

test('a list of models that cannot be read is kept as a copy before it is replaced', async () => {
  await mkdir(join(dir, 'data'));
  await writeFile(join(dir, 'data/models.json'), '{"version":1,"models":[{"na');
  const library = await openLibrary();
  expect((await library.entries()).length).toBeGreaterThan(3);
  await library.setLimits({ bytes_per_second: 1_000_000 });
  expect(await readdir(join(dir, 'data'))).toContain('models.json.unreadable');
});
