import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';
import type { ModelAction, ModelEntry } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { noiseRepository, REPOSITORY, type ServedRepository } from '../../tests/support/hub-repository.ts';
import { CDN_ADDRESS, HUB_TOKEN, type HubServer, startHubServer } from '../../tests/support/hub-server.ts';
import { createModelLibrary, type ModelLibraryOptions } from './create-library.ts';
import { createHubClient, type HubClient } from './hub/hub-client.ts';
import type { ModelLibrary } from './library.ts';

let dir: string;
let repository: ServedRepository;
let server: HubServer;
let client: HubClient;
let libraries: ModelLibrary[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'installer-'));
  libraries = [];
  repository = noiseRepository(4_000_000);
  server = await startHubServer(repository);
  client = createHubClient({
    ...{ endpoint: server.endpoint, token: HUB_TOKEN, proxies: { http: '', https: '', none: '' }, ca: server.cert, silenceMs: 1_500, pause },
    isPublic: (address) => address === CDN_ADDRESS,
  });
});
afterEach(async () => {
  for (const library of libraries) await library.close();
  await client.close();
  await server.close();
  await rm(dir, { recursive: true });
});

async function pause(_milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

function openLibrary(options: Partial<ModelLibraryOptions> = {}): ModelLibrary {
  const library = createModelLibrary({
    ...{ resourcesDir, dataDir: join(dir, 'data'), checkpointDirs: [], cacheDir: join(dir, 'hub'), hub: client, log: { warn: () => {} }, pause },
    ...options,
  });
  library.start();
  libraries.push(library);
  return library;
}

/** Resolves with the first entry of the model for which `isIt` holds. */
async function when(library: ModelLibrary, isIt: (entry: ModelEntry) => boolean, name = REPOSITORY): Promise<ModelEntry> {
  return new Promise((resolve) => {
    const see = (entry: ModelEntry): void => {
      if (entry.name !== name || !isIt(entry)) return;
      unwatch();
      resolve(entry);
    };
    const unwatch = library.watch(see);
    void library.entries().then((entries) => entries.forEach(see));
  });
}
const reached = (library: ModelLibrary, ...states: ModelEntry['state'][]) => when(library, ({ state }) => states.includes(state));

/** A slow download of which a part is on the disk. */
async function startedDownload(library: ModelLibrary): Promise<void> {
  server.bytesPerSecond = 400_000;
  await library.act(REPOSITORY, 'install');
  await when(library, ({ bytes_done }) => bytes_done > 0);
}

const storedRecords = async (): Promise<{ name: string; state: string }[]> => JSON.parse(await readFile(join(dir, 'data/models.json'), 'utf8')).models;
const sentBytes = () => [...server.sentBytes.values()].reduce((a, b) => a + b, 0);
const cachedFiles = async () => (await readdir(join(dir, 'hub'), { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory());

/** What came of calls at the same time: a state, or the code of an error. */
async function outcomes(calls: Promise<ModelEntry>[]): Promise<string[]> {
  return Promise.all(
    calls.map((call) =>
      call.then(
        ({ state }) => state,
        (thrown: unknown) => {
          if (thrown instanceof AppError) return thrown.code;
          throw thrown;
        },
      ),
    ),
  );
}

describe('commands at the same time', () => {
  test('a model that is removed during its download is gone: nothing more is fetched, nothing is left', async () => {
    const library = openLibrary();
    await startedDownload(library);
    expect(await library.act(REPOSITORY, 'remove')).toMatchObject({ state: 'absent' });
    const requests = server.requests;
    await library.add({ repository: REPOSITORY }).then(() => library.act(REPOSITORY, 'pause'));
    await library.act(REPOSITORY, 'remove');
    expect(await storedRecords()).toEqual([]);
    expect((await cachedFiles()).filter(({ name }) => name.includes('incomplete'))).toEqual([]);
    // the list of files and the configs of the second download, no ranges of weights
    expect(server.requests - requests).toBeLessThan(15);
  });

  test.each([0, 2, 8, 20, 30])('two adds %i ms apart make one record, which is downloaded once', async (delayMs) => {
    const library = openLibrary();
    const first = library.add({ repository: REPOSITORY });
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    const added = await outcomes([first, library.add({ repository: REPOSITORY })]);
    for (const state of added) expect(['queued', 'downloading', 'installed']).toContain(state);
    await reached(library, 'installed');
    expect(await storedRecords()).toMatchObject([{ name: REPOSITORY, state: 'installed' }]);
    const total = [...repository.files.values()].reduce((sum, { length }) => sum + length, 0);
    expect(sentBytes()).toBeLessThanOrEqual(total);
  });

  const atOnce: [ModelAction, (library: ModelLibrary) => Promise<unknown>, string[]][] = [
    ['install', async () => {}, ['queued', 'downloading']],
    ['pause', startedDownload, ['paused', 'model_busy']],
    ['resume', async (library) => startedDownload(library).then(() => library.act(REPOSITORY, 'pause')), ['queued', 'downloading']],
    ['remove', startedDownload, ['absent', 'model_busy']],
    ['verify', async (library) => library.act(REPOSITORY, 'install').then(() => reached(library, 'installed')), ['verifying', 'model_busy', 'installed']],
    ['use', async (library) => library.act(REPOSITORY, 'install').then(() => reached(library, 'installed')), ['installed']],
  ];
  test.each(atOnce)('%s, sent three times at once and once more, acts once', async (action, prepare, allowed) => {
    const library = openLibrary();
    await prepare(library);
    const results = await outcomes([1, 2, 3].map(() => library.act(REPOSITORY, action)));
    results.push(...(await outcomes([library.act(REPOSITORY, action)])));
    for (const result of results) expect(allowed).toContain(result);
    // the state is whole: it can be installed from here
    server.bytesPerSecond = null;
    if (action !== 'verify') await library.act(REPOSITORY, 'install');
    expect(await reached(library, 'installed', 'failed')).toMatchObject({ state: 'installed', error: null });
    expect(await storedRecords()).toHaveLength(1);
  });

  test('every mix of commands leaves one record or none, and a list that answers', async () => {
    const library = openLibrary();
    server.bytesPerSecond = 2_000_000;
    const actions: ModelAction[] = ['install', 'pause', 'resume', 'remove', 'verify', 'use'];
    for (let round = 0; round < 6; round++) {
      const calls = actions.map((_, i) => library.act(REPOSITORY, actions[(i + round) % actions.length] as ModelAction));
      const lists = Promise.all([library.entries(), library.entries()]);
      await outcomes(calls);
      for (const entries of await lists) expect(entries.filter(({ name }) => name === REPOSITORY)).toHaveLength(1);
      expect((await storedRecords()).filter(({ name }) => name === REPOSITORY).length).toBeLessThanOrEqual(1);
    }
  });

  test('a folder that is added three times at once is one model', async () => {
    await cp(join(resourcesDir, 'models/storybook-uint4'), join(dir, 'mine'), { recursive: true });
    const library = openLibrary();
    const names = (await Promise.all([1, 2, 3].map(() => library.add({ dir: join(dir, 'mine') })))).map(({ name }) => name);
    expect(names).toEqual(['mine', 'mine', 'mine']);
    expect(await storedRecords()).toHaveLength(1);
  });

  test('a limit that cannot be written does not apply', async () => {
    const library = openLibrary();
    await writeFile(join(dir, 'data'), 'a file in place of the folder');
    await expect(library.setLimits({ bytes_per_second: 100_000 })).rejects.toMatchObject({ code: 'folder_not_writable' });
    expect(library.limits()).toEqual({ bytes_per_second: null });
  });
});

test('a download that fails while nothing can be written shows its error, and works again afterwards', async () => {
  const library = openLibrary();
  await startedDownload(library);
  await rename(join(dir, 'data'), join(dir, 'moved'));
  await writeFile(join(dir, 'data'), 'a file in place of the folder');
  server.fault = () => 'to-http';
  expect(await reached(library, 'failed')).toMatchObject({ error: { code: 'download_refused' } });
  expect((await library.entries()).find(({ name }) => name === REPOSITORY)?.state).toBe('failed');
  await rm(join(dir, 'data'));
  await rename(join(dir, 'moved'), join(dir, 'data'));
  server.fault = () => null;
  server.bytesPerSecond = null;
  await library.act(REPOSITORY, 'install');
  expect(await reached(library, 'installed', 'failed')).toMatchObject({ state: 'installed' });
});

describe('a model that cannot run', () => {
  const assertCanRun = async (path: string, scope: 'configs' | 'all'): Promise<void> => {
    if (scope === 'all' && !path.includes('resources')) throw new AppError('checkpoint_unsupported', `${path} has 31 layers; 30 are supported.`, { path });
  };

  test('is not installed, and the model that ran before stays active', async () => {
    const library = openLibrary({ assertCanRun });
    await library.act(REPOSITORY, 'install');
    expect(await reached(library, 'installed', 'failed')).toMatchObject({ state: 'failed', active: false, error: { code: 'checkpoint_unsupported' } });
    expect(await library.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4' });
    await cp(join(resourcesDir, 'models/storybook-uint4'), join(dir, 'mine'), { recursive: true });
    await expect(library.add({ dir: join(dir, 'mine') })).rejects.toMatchObject({ code: 'checkpoint_unsupported' });
    expect(await library.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4' });
  });

  test('as its configs show is refused before a weight is downloaded', async () => {
    const library = openLibrary({
      async assertCanRun(path) {
        throw new AppError('checkpoint_unsupported', `${path} is not supported.`, { path });
      },
    });
    await expect(library.add({ repository: REPOSITORY })).rejects.toMatchObject({ code: 'checkpoint_unsupported' });
    expect([...server.sentBytes.keys()].filter((path) => path.endsWith('.safetensors'))).toEqual([]);
  });

  test('that was installed earlier is not made active', async () => {
    await cp(join(resourcesDir, 'models/storybook-uint4'), join(dir, 'mine'), { recursive: true });
    const before = openLibrary();
    await before.add({ dir: join(dir, 'mine') });
    await before.act('storybook-uint4', 'use');
    const library = openLibrary({ assertCanRun });
    await expect(library.act('mine', 'use')).rejects.toMatchObject({ code: 'checkpoint_unsupported' });
    expect(await library.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4' });
  });
});

describe('one broken folder', () => {
  /** Resources whose int8 checkpoint has lost its files. */
  async function brokenResources(): Promise<string> {
    const broken = join(dir, 'resources');
    await mkdir(join(broken, 'models/storybook-int8'), { recursive: true });
    await symlink(join(resourcesDir, 'models/storybook-uint4'), join(broken, 'models/storybook-uint4'));
    await symlink(join(resourcesDir, 'upscalers'), join(broken, 'upscalers'));
    return broken;
  }

  test('that is bundled has an entry with its error; the others are listed and run', async () => {
    const library = openLibrary({ resourcesDir: await brokenResources() });
    expect((await library.list()).map(({ name }) => name)).toEqual(['storybook-uint4']);
    expect(await library.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4' });
    const entry = (await library.entries()).find(({ name }) => name === 'storybook-int8');
    expect(entry).toMatchObject({ state: 'damaged', error: { code: 'checkpoint_missing' } });
  });

  test('of --checkpoint is refused at the start; one that breaks later stops its own kind only', async () => {
    await cp(join(resourcesDir, 'models/storybook-int8'), join(dir, 'mine'), { recursive: true });
    const library = openLibrary({ checkpointDirs: [join(dir, 'mine')] });
    await library.assertNamedFolders();
    await rm(join(dir, 'mine'), { recursive: true });
    expect(await library.checkpointFor('uint4')).toMatchObject({ name: 'storybook-uint4' });
    await expect(library.checkpointFor('int8')).rejects.toMatchObject({ code: 'checkpoint_missing' });
    expect((await library.list()).map(({ name }) => name)).toEqual(['storybook-uint4', 'storybook-int8']);
    expect((await library.entries()).find(({ name }) => name === 'mine')).toMatchObject({ kind: 'int8', state: 'damaged', active: true });
    await expect(openLibrary({ checkpointDirs: [join(dir, 'mine')] }).assertNamedFolders()).rejects.toMatchObject({ code: 'checkpoint_missing' });
  });
});

describe('records', () => {
  const folderRecord = (name: string, state = 'installed') => ({
    ...{ name, kind: 'uint4', state, error: null, identity: null },
    source: { type: 'folder', dir: join(resourcesDir, 'models/storybook-uint4') },
  });
  async function withRecords(...models: object[]): Promise<ModelLibrary> {
    await mkdir(join(dir, 'data'));
    await writeFile(join(dir, 'data/models.json'), JSON.stringify({ version: 2, models, later: true }));
    return openLibrary();
  }

  test('of a later version are shown, not used and not lost', async () => {
    const later = { ...folderRecord('later'), kind: 'video' };
    const library = await withRecords(later, folderRecord('mine'));
    const entries = await library.entries();
    expect(entries.find(({ name }) => name === 'later')).toMatchObject({
      state: 'damaged',
      active: false,
      error: { message: expect.stringContaining('another version') },
    });
    for (const action of ['install', 'use', 'remove', 'verify'] as const) {
      await expect(library.act('later', action)).rejects.toMatchObject({ code: 'model_busy' });
    }
    await library.act('mine', 'remove');
    expect(JSON.parse(await readFile(join(dir, 'data/models.json'), 'utf8'))).toMatchObject({ version: 2, models: [later], later: true });
  });

  test('with one damaged value cost nothing else', async () => {
    const library = await withRecords({ ...folderRecord('mine'), error: { code: 'of_a_later_version' }, note: 'kept' }, { ...folderRecord('other'), state: 7 });
    expect((await library.entries()).find(({ name }) => name === 'mine')).toMatchObject({ error: { code: 'checkpoint_damaged' } });
    await library.setLimits({ bytes_per_second: 100_000 });
    expect(await storedRecords()).toMatchObject([
      { name: 'mine', note: 'kept' },
      { name: 'other', state: 7 },
    ]);
  });

  test('of one name are one: the installed one', async () => {
    const library = await withRecords(folderRecord('mine', 'queued'), folderRecord('mine'), folderRecord('mine', 'queued'));
    expect((await library.entries()).filter(({ name }) => name === 'mine')).toHaveLength(1);
    await library.setLimits({ bytes_per_second: 100_000 });
    expect(await storedRecords()).toMatchObject([{ name: 'mine', state: 'installed' }]);
  });
});
