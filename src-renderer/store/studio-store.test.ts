import { expect, test } from 'vitest';
import type { CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import type { JobRecord } from '#shared/domain/job-record.ts';
import type { ModelEntry } from '#shared/domain/model.ts';
import type { DesktopBridge } from '#shared/protocol/desktop.ts';
import type { LogLine } from '#shared/protocol/http.ts';
import type { ClientMessage, ServerMessage } from '#shared/protocol/messages.ts';
import { HttpFailure, type StudioHttp } from '../client/http.ts';
import { memoryStorage } from '../client/stored.ts';
import { activeJobs, jobFromRecord } from './jobs.ts';
import { cutOf } from './prompt-cut.ts';
import { createStudioStore } from './studio-store.ts';

const ID = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const MINE = 'studio-00000000000000ff';

type TextRecord = Extract<JobRecord, { task_type: 'text_to_image' }>;

function record(job_id: string, change: Partial<TextRecord> = {}): TextRecord {
  return {
    job_id,
    task_type: 'text_to_image',
    status: 'completed',
    params: { prompt: 'a fox', width: 256, height: 256, steps: 9, guidance_scale: 0, seed: 1, model_type: 'uint4' },
    result: { filename: 'f.png', path: 'outputs/f.png', upscaled_filename: 'f-upscaled.png' },
    error: null,
    code: null,
    checkpoint: 'storybook-uint4',
    upscaler: 'realesr-general-x4v3',
    created_at: 100,
    finished_at: 110,
    clients: ['studio-1'],
    starred: false,
    deleted: false,
    deleted_at: null,
    position: null,
    ...change,
  };
}

const seedOf = (message: ClientMessage) => message.type === 'create_job' && message.task_type === 'text_to_image' && message.params.seed;

const model: ModelEntry = {
  name: 'OWNER/NAME',
  kind: 'uint4',
  state: 'absent',
  active: false,
  license: 'apache-2.0',
  source: { type: 'hub', repository: 'OWNER/NAME', revision: null, path: null },
  identity: null,
  bytes_done: 0,
  bytes_total: 100,
  bytes_per_second: null,
  seconds_left: null,
  error: null,
  compilation: null,
};

const cudaPack: CudaPackEntry = {
  state: 'absent',
  version: '1-cuda13',
  onnxruntime: '1',
  source: 'example.org',
  path: null,
  bytes_done: 0,
  bytes_total: 10,
  bytes_per_second: null,
  seconds_left: null,
  installed_bytes: 20,
  error: null,
  revision: 5,
  licences: [],
  others: [],
};

/** A server that lists `records` and fails the calls named in `refused`. */
function fakeHttp(records: TextRecord[], refused: ReadonlySet<string>, calls: string[], logged: LogLine[]): StudioHttp {
  function answer<T>(call: keyof StudioHttp, value: () => T, id = ''): Promise<T> {
    calls.push(call);
    return refused.has(call) || refused.has(`${call} ${id}`) ? Promise.reject(new HttpFailure('internal', 'it broke')) : Promise.resolve(value());
  }
  const one = (id: string, change: Partial<TextRecord>) => record(id, change);
  return {
    listJobs: (query) =>
      answer('listJobs', () => {
        const start = query.before ?? 0;
        const found = records.filter(
          (job) =>
            (query.query === undefined || job.params.prompt.includes(query.query)) &&
            (query.client === undefined || (job.clients.includes(query.client) && job.status === query.status)),
        );
        const end = start + (query.limit ?? 50);
        return { jobs: found.slice(start, end), next: end < found.length ? end : null };
      }),
    job: (id) => answer('job', () => one(id, {})),
    star: (id, starred) => answer('star', () => one(id, { starred }), id),
    bulk: ({ ids = [], action }) => {
      calls.push(action);
      if (refused.has(action)) return Promise.reject(new HttpFailure('internal', 'it broke'));
      const failed = ids.filter((id) => refused.has(`${action} ${id}`));
      const done = ids.filter((id) => !failed.includes(id));
      return Promise.resolve({ done, failed: failed.map((job_id) => ({ job_id, code: 'internal', message: 'it broke' })) });
    },
    zip: () => answer('zip', () => new Blob()),
    queue: ({ action }) => {
      calls.push(`queue ${action}`);
      return Promise.reject(new HttpFailure('unreachable', 'not in this test'));
    },
    info: () => Promise.reject(new HttpFailure('unreachable', 'not in this test')),
    tokens: (prompt) => answer('tokens', () => ({ count: prompt.length, limit: 4, cut_at: prompt.length > 4 ? 4 : null })),
    settings: () => Promise.reject(new HttpFailure('unreachable', 'not in this test')),
    changeSettings: () => Promise.reject(new HttpFailure('bad_param', 'no such folder', { field: 'outputs_folder' })),
    devices: () => answer('devices', () => ({ gpus: [], devices: [], onnxruntime: '1' })),
    cudaPack: () => answer('cudaPack', () => cudaPack),
    actOnCudaPack: (action) => answer('actOnCudaPack', () => ({ ...cudaPack, state: action === 'install' ? 'downloading' : 'absent' })),
    network: () => Promise.reject(new HttpFailure('access_key_required', 'not without the key')),
    clients: () => Promise.reject(new HttpFailure('unreachable', 'not in this test')),
    sizes: () => answer('sizes', () => ({ sizes: [] })),
    labels: () => answer('labels', () => ({ labels: [] })),
    log: (since) => answer('log', () => ({ lines: logged.filter((line) => line.number > since), newest: logged.at(-1)?.number ?? 0 })),
    emptyBin: () => answer('emptyBin', () => ({ removed: 2 })),
    models: () => answer('models', () => ({ models: [model], limits: { bytes_per_second: null }, cache_dir: '/cache' })),
    actOnModel: (name, action) => answer('actOnModel', () => ({ ...model, name, state: action === 'pause' ? 'paused' : 'downloading' })),
    addModel: () => Promise.reject(new HttpFailure('checkpoint_unsupported', 'this folder is a LlamaForCausalLM')),
    limitDownloads: (limits) => answer('limitDownloads', () => limits),
    loras: () => answer('loras', () => ({ loras: [] })),
    controlNets: () => answer('controlNets', () => ({ controlnets: [] })),
    image: () => answer('image', () => new Blob()),
    verifyImage: () => Promise.reject(new Error('not asked for')),
    readImage: () =>
      answer('readImage', () => ({
        id: 'c'.repeat(64),
        format: 'png',
        width: 1,
        height: 1,
        notices: [],
        texts: [{ keyword: 'parameters', text: 'a dog\nSteps: 4, Seed: 9, Size: 300x5000' }],
        recipe: null,
      })),
  };
}

function setUp({
  records = [],
  refused = [],
  desktop = null,
}: {
  records?: TextRecord[];
  /** Calls that fail, such as `delete`, or `delete ID` for one image. */
  refused?: string[];
  desktop?: DesktopBridge | null;
} = {}) {
  const sent: ClientMessage[] = [];
  const calls: string[] = [];
  const logged: LogLine[] = [];
  const storage = memoryStorage();
  const windowStorage = memoryStorage();
  const withdrawn: string[] = [];
  const clock = { nowMs: 5000 };
  const build = () =>
    createStudioStore({
      send: (message) => sent.push(message),
      withdraw: (requestId) => withdrawn.push(requestId),
      http: fakeHttp(records, new Set(refused), calls, logged),
      storage,
      windowStorage,
      desktop,
      clientId: MINE,
      windowId: 'w1',
      randomSeed: () => 1000,
      now: () => clock.nowMs,
      pause: () => Promise.resolve(),
    });
  const store = build();
  const state = () => store.getState();
  return { state, sent, calls, logged, build, withdrawn, clock };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));
const status = (job_id: string, name: string, more: object = {}) => ({ type: 'job_status', job_id, status: name, ...more }) as ServerMessage;

function makeOne(change: object = {}) {
  const world = setUp();
  world.state().editDraft({ prompt: 'a fox', ...change });
  expect(world.state().make()).toBe(true);
  return world;
}

test('Make sends every parameter of the form, with a random seed', () => {
  const { sent, state } = makeOne();
  expect(sent).toEqual([
    {
      type: 'create_job',
      task_type: 'text_to_image',
      request_id: 'w1-1',
      params: { prompt: 'a fox', width: 512, height: 512, steps: 9, guidance_scale: 0, seed: 1000, model_type: 'uint4' },
    },
  ]);
  expect(state().draft.seed).toBe('1000');
});

test('several images get consecutive seeds, a fixed seed stays', () => {
  const { sent } = makeOne({ count: '3', seedMode: 'fixed', seed: '7' });
  expect(sent.map(seedOf)).toEqual([7, 8, 9]);
});

test('a pattern makes one image for each prompt and seed, and an image that is reused is drawn word by word', () => {
  const { sent, state } = makeOne({ prompt: 'a {red|blue} fox', usesPatterns: true, count: '2' });
  const drawn = () =>
    sent.map((message) =>
      message.type === 'create_job' && message.task_type === 'text_to_image' ? `${message.params.prompt} ${message.params.seed}` : message.type,
    );
  expect(drawn()).toEqual(['a red fox 1000', 'a red fox 1001', 'a blue fox 1000', 'a blue fox 1001']);
  state().reuse({ prompt: '{a|b}' });
  state().make();
  expect(drawn().slice(4)).toEqual(['{a|b} 1000']);
});

test('nothing is sent while a field is invalid, and the field is named', () => {
  const { state, sent } = setUp();
  state().editDraft({ prompt: '  ', width: '250', steps: '51' });
  expect(state().make()).toBe(false);
  expect(sent).toEqual([]);
  expect(Object.keys(state().problems).sort()).toEqual(['prompt', 'steps', 'width']);
  state().editDraft({ steps: '9' });
  expect(Object.keys(state().problems).sort()).toEqual(['prompt', 'width']);
  state().checkFields();
  expect(Object.keys(state().problems).sort()).toEqual(['prompt', 'width']);
});

test('the stage follows a job from its request to both images', () => {
  const { state } = makeOne();
  state().receive(status(ID, 'pending', { request_id: 'w1-1', position: 1 }));
  expect(state().requests).toEqual({});
  expect(state().selectedId).toBe(ID);
  expect(state().jobs[ID]).toMatchObject({ status: 'pending', position: 1, params: { seed: 1000 } });

  state().receive(status(ID, 'processing'));
  state().receive({ type: 'job_preview', job_id: ID, step: 1, media_type: 'image/png', width: 8, height: 8, data: 'QUJD' });
  expect(state().jobs[ID]?.preview).toBe('data:image/png;base64,QUJD');

  state().receive(status(ID, 'generated', { result: { filename: 'f.png', local_path: 'outputs/f.png' } }));
  expect(state().jobs[ID]).toMatchObject({ filename: 'f.png', upscaledFilename: null, preview: null });

  state().receive(status(ID, 'completed', { result: { filename: 'f.png', path: 'outputs/f.png', upscaled_filename: 'f-upscaled.png' } }));
  expect(state().jobs[ID]).toMatchObject({ status: 'completed', upscaledFilename: 'f-upscaled.png' });
  expect(state().gallery.map((job) => job.id)).toEqual([ID]);
});

test('the stage stays on an image that was selected by hand', () => {
  const { state } = makeOne();
  state().receive(status(ID, 'pending', { request_id: 'w1-1' }));
  state().select(null);
  state().receive(status(ID, 'processing'));
  expect(state().selectedId).toBeNull();
});

test('a batch knows its jobs in the order of the requests; a refused request and an opened job leave it', () => {
  const { state } = setUp();
  const { params } = record(ID);
  state().submit([params, { ...params, seed: 2 }, { ...params, seed: 3 }]);
  expect(state().isBatchShown).toBe(true);
  state().receive(status(OTHER, 'pending', { request_id: 'w1-2' }));
  state().receive(status(ID, 'pending', { request_id: 'w1-1' }));
  expect(state().batch.map(({ jobId }) => jobId)).toEqual([ID, OTHER, null]);
  state().receive({ type: 'error', code: 'queue_full', message: 'full', request_id: 'w1-3' } as ServerMessage);
  expect(state().batch.map(({ jobId }) => jobId)).toEqual([ID, OTHER]);
  state().select(OTHER);
  expect(state().isBatchShown).toBe(false);
  state().showBatch();
  expect(state().isBatchShown).toBe(true);
});

test('a variation has the params of its image and a new seed, and leaves the form alone', () => {
  const { state, sent } = setUp({ records: [record(ID)] });
  state().mergeJobs([jobFromRecord(record(ID))]);
  state().editDraft({ prompt: 'half a sentence' });
  state().vary(ID);
  expect(sent).toMatchObject([{ type: 'create_job', params: { ...record(ID).params, seed: 1000 } }]);
  expect(state().draft.prompt).toBe('half a sentence');
  expect(state().isBatchShown).toBe(false);
});

test('a failed job keeps its code; a retry starts without the old failure', () => {
  const { state, sent } = makeOne();
  state().receive(status(ID, 'pending', { request_id: 'w1-1' }));
  state().receive(status(ID, 'failed', { error: 'no memory', code: 'engine_out_of_memory' }));
  expect(state().jobs[ID]?.failure).toEqual({ code: 'engine_out_of_memory', message: 'no memory' });
  state().retry(ID);
  expect(sent.at(-1)).toMatchObject({ type: 'create_job', request_id: 'w1-2', params: { prompt: 'a fox', seed: 1000 } });
  state().receive(status(ID, 'pending', { request_id: 'w1-2' }));
  expect(state().jobs[ID]).toMatchObject({ status: 'pending', failure: null });
});

test('a refused request is reported and no longer pending', () => {
  const { state } = makeOne();
  state().receive({ type: 'error', code: 'queue_full', message: 'full', request_id: 'w1-1' });
  expect(state().requests).toEqual({});
  expect(state().notices).toMatchObject([{ tone: 'error', code: 'queue_full' }]);
});

test("a script's job is loaded to show its prompt", async () => {
  const { state, calls } = setUp({ records: [record(OTHER, { status: 'processing', result: null, clients: ['my-script'] })] });
  state().receive(status(OTHER, 'processing'));
  expect(state().jobs[OTHER]?.params).toBeNull();
  await settled();
  expect(calls).toContain('listJobs');
  expect(state().jobs[OTHER]).toMatchObject({ params: { prompt: 'a fox' }, clients: ['my-script'] });
});

test("live progress is not lost when the server's list arrives", () => {
  const { state } = makeOne();
  state().receive(status(ID, 'processing', { request_id: 'w1-1' }));
  const progress = {
    stage: 'generating',
    percentage: 44,
    current_step: 4,
    total_steps: 9,
    elapsed: '00:01',
    remaining: '00:02',
    speed: '1.00it/s',
    type: 'progress',
  } as const;
  state().receive({ type: 'job_progress', job_id: ID, progress });
  state().mergeJobs([{ ...(state().jobs[ID] ?? expect.fail('the job is unknown')), progress: null }]);
  expect(state().jobs[ID]?.progress).toEqual(progress);
});

test("Cancel all cancels this browser's jobs only, and Undo queues them again in their order", async () => {
  const queued = (digit: string, seed: number, clients: string[], position: number) =>
    record(digit.repeat(64), { status: 'pending', result: null, clients, position, params: { ...record(ID).params, seed } });
  const { state, sent, calls } = setUp({ records: [queued('3', 3, [MINE], 2), queued('2', 2, [MINE], 1), queued('4', 4, ['my-script'], 3)] });
  state().submit([record(ID).params]);
  state().receive(status(ID, 'processing', { request_id: 'w1-1' }));
  state().mergeJobs([jobFromRecord(record(OTHER, { status: 'processing', result: null, clients: ['my-script'] }))]);
  state().cancelMine();
  await settled();
  const cancelled = sent.flatMap((message) => (message.type === 'cancel_job' ? [message.job_id] : []));
  expect(cancelled).toEqual([ID, '2'.repeat(64), '3'.repeat(64)]);
  expect(calls).not.toContain('queue clear');
  expect(state().notices).toMatchObject([{ tone: 'undo', text: 'cancelled', count: 3 }]);
  expect(state().undoLast()).toBe(true);
  expect(sent.slice(-3).map(seedOf)).toEqual([1, 2, 3]);
  expect(state().notices).toEqual([]);
  state().cancelEverything();
  await settled();
  expect(calls).toContain('queue clear');
});

test('a request that was not sent yet can be taken back', () => {
  const { state, withdrawn } = makeOne();
  state().withdrawRequest('w1-1');
  expect(withdrawn).toEqual(['w1-1']);
  expect(state().requests).toEqual({});
});

test('the stage moves to the job that is drawn while its own job waits', () => {
  const { state } = setUp();
  const params = record(ID).params;
  const progress = {
    stage: 'generating',
    percentage: 10,
    current_step: 1,
    total_steps: 9,
    elapsed: '00:01',
    remaining: '00:02',
    speed: '1it/s',
    type: 'progress',
  } as const;
  state().submit([params, { ...params, seed: 2 }]);
  state().receive(status(ID, 'pending', { request_id: 'w1-1' }));
  state().receive(status(OTHER, 'pending', { request_id: 'w1-2' }));
  expect(state().selectedId).toBe(ID);
  state().receive(status(OTHER, 'processing'));
  expect(state().selectedId).toBe(OTHER);
  state().receive(status(ID, 'processing'));
  expect(state().selectedId).toBe(OTHER);
  state().receive({ type: 'job_progress', job_id: ID, progress });
  expect(state().selectedId).toBe(ID);
  state().receive({ type: 'job_progress', job_id: OTHER, progress });
  expect(state().selectedId).toBe(ID);
  state().receive(status(ID, 'completed', { result: { filename: 'f.png', path: 'outputs/f.png', upscaled_filename: 'f-upscaled.png' } }));
  state().receive({ type: 'job_progress', job_id: OTHER, progress });
  expect(state().selectedId).toBe(OTHER);
});

test("the stage does not follow another client's jobs, and leaves a deleted image for the next one", () => {
  const { state } = setUp();
  state().mergeJobs([ID, OTHER].map((id, index) => jobFromRecord(record(id, { created_at: 200 - index }))));
  state().select(ID);
  state().receive(status(ID, 'completed', { deleted: true }));
  expect(state().selectedId).toBe(OTHER);
  state().submit([]);
  state().mergeJobs([jobFromRecord(record('c'.repeat(64), { status: 'pending', result: null, clients: ['my-script'] }))]);
  state().receive(status('c'.repeat(64), 'processing'));
  expect(state().selectedId).toBeNull();
});

test('a replaced prompt comes back by Undo, by Ctrl+Z and from the history', () => {
  const { state } = setUp();
  state().typePrompt('half a sentence');
  state().editDraft({ width: '512' });
  state().reuse({ prompt: 'a fox', width: 768, seed: 7 });
  expect(state().draft).toMatchObject({ prompt: 'a fox', width: '768', seedMode: 'fixed' });
  expect(state().prompts).toEqual(['half a sentence']);
  expect(state().undoLast()).toBe(true);
  expect(state().draft).toMatchObject({ prompt: 'half a sentence', width: '512', seedMode: 'random' });
  expect(state().undoDraft()).toBe(true);
  expect(state().draft).toMatchObject({ prompt: 'a fox', width: '768' });
  expect(state().undoDraft()).toBe(true);
  expect(state().draft).toMatchObject({ prompt: 'half a sentence', width: '512' });
  expect(state().notices).toEqual([]);
  expect(state().redoDraft()).toBe(true);
  expect(state().draft).toMatchObject({ prompt: 'a fox', width: '768' });
});

test('every way to replace the prompt keeps what was typed', async () => {
  const { state } = setUp();
  const replacements = [
    () => state().reuse({ prompt: 'reused' }),
    () => state().fill({ prompt: 'from a link' }),
    () => state().reuseFile(new Blob()),
    () => state().replaceDraft({ prompt: 'an example' }),
  ];
  for (const [index, replace] of replacements.entries()) {
    state().typePrompt(`typed ${index}`);
    replace();
    await settled();
    expect(state().draft.prompt).not.toBe(`typed ${index}`);
    expect(state().prompts[0]).toBe(`typed ${index}`);
    expect(state().undoLast()).toBe(true);
    expect(state().draft.prompt).toBe(`typed ${index}`);
  }
});

test('typing is undone in steps, one for each pause', () => {
  const { state, clock } = setUp();
  for (const [text, pauseMs] of [
    ['a', 0],
    ['a f', 100],
    ['a fox', 100],
    ['a fox in', 5000],
    ['a fox in snow', 100],
  ] as const) {
    clock.nowMs += pauseMs;
    state().typePrompt(text);
  }
  state().editDraft({ prompt: 'a fox in snow, pixel art' });
  const undone = [];
  while (state().undoDraft()) undone.push(state().draft.prompt);
  expect(undone).toEqual(['a fox in snow', 'a fox', '']);
  state().typePrompt('new');
  expect(state().redoDraft()).toBe(false);
});

test('a reload keeps the draft, settings and earlier prompts', () => {
  const { state, build } = makeOne({ height: '512' });
  state().changeSettings({ theme: 'dark', language: 'zh' });
  state().saveTemplate();
  state().addStyle(' linocut ');
  const again = build().getState();
  expect(again.draft).toMatchObject({ prompt: 'a fox', height: '512' });
  expect(again.settings).toMatchObject({ theme: 'dark', language: 'zh' });
  expect(again.prompts).toEqual(['a fox']);
  expect(again.templates).toMatchObject([{ prompt: 'a fox', height: '512' }]);
  expect(again.ownStyles).toEqual(['linocut']);
});

test('queued jobs are listed in the order of the server', () => {
  const { state } = setUp();
  const params = record(ID).params;
  state().submit([params, { ...params, seed: 2 }, { ...params, seed: 3 }]);
  const ids = ['1', '2', '3'].map((digit) => digit.repeat(64));
  for (const [index, id] of ids.entries()) state().receive(status(id, index === 2 ? 'processing' : 'pending', { request_id: `w1-${index + 1}` }));
  expect(activeJobs(state().jobs, [ids[1] ?? '', ids[0] ?? '']).map((job) => job.id[0])).toEqual(['3', '2', '1']);
});

test('the gallery loads page by page and never loads one twice', async () => {
  const records = Array.from({ length: 250 }, (_, index) => record(String(index).padStart(64, '0')));
  const { state, calls } = setUp({ records });
  state().refreshGallery();
  await settled();
  expect(state().gallery).toHaveLength(200);
  state().loadMoreGallery();
  state().loadMoreGallery();
  await settled();
  expect(state().gallery).toHaveLength(250);
  state().loadMoreGallery();
  expect(calls).toEqual(['listJobs', 'listJobs']);
});

test('the result of an earlier search does not replace a later one', async () => {
  const { state } = setUp({ records: [record(ID), record(OTHER, { params: { ...record(OTHER).params, prompt: 'a dog' } })] });
  state().filterGallery({ query: 'fox' });
  state().filterGallery({ query: 'dog' });
  await settled();
  expect(state().gallery.map((job) => job.params?.prompt)).toEqual(['a dog']);
});

test('a deleted image leaves the gallery and Undo restores it', async () => {
  const { state, calls } = setUp({ records: [record(ID)] });
  state().refreshGallery();
  await settled();
  state().remove([ID]);
  await settled();
  expect(state().gallery).toEqual([]);
  expect(state().notices).toMatchObject([{ tone: 'undo', text: 'deleted', count: 1 }]);
  state().undoLast();
  await settled();
  expect(calls).toEqual(['listJobs', 'delete', 'restore', 'listJobs']);
  expect(state().gallery).toHaveLength(1);
});

const many = (count: number) => Array.from({ length: count }, (_, index) => record(String(index).padStart(64, '0')));

test('if one of many deletions fails, the others can be undone and the list keeps its length', async () => {
  const records = many(250);
  const ids = records.slice(0, 3).map(({ job_id }) => job_id);
  const { state, calls } = setUp({ records, refused: [`delete ${ids[1]}`] });
  state().refreshGallery();
  await settled();
  state().loadMoreGallery();
  await settled();
  state().remove(ids);
  await settled();
  expect(state().gallery).toHaveLength(248);
  expect(state().gallery[0]?.id).toBe(ids[1]);
  expect(state().notices).toMatchObject([
    { tone: 'error', code: 'internal' },
    { tone: 'undo', count: 2 },
  ]);
  state().undoLast();
  await settled();
  expect(calls.filter((call) => call === 'restore')).toHaveLength(1);
  expect(state().gallery).toHaveLength(250);
});

test('more images than one call may name are deleted in parts', async () => {
  const records = many(10_001);
  const { state, calls } = setUp({ records });
  state().remove(records.map(({ job_id }) => job_id));
  await settled();
  await settled();
  expect(calls.filter((call) => call === 'delete')).toHaveLength(2);
  expect(state().notices).toMatchObject([{ tone: 'undo', count: 10_001 }]);
});

test('images whose deletion ends after the bin was opened stay in the bin', async () => {
  const { state } = setUp({ records: [record(ID, { deleted: true })] });
  state().remove([ID]);
  state().filterGallery({ deleted: true });
  await settled();
  expect(state().gallery.map(({ id }) => id)).toEqual([ID]);
});

test('images in the bin are deleted permanently one by one, and a failure keeps the image in the list', async () => {
  const { state, calls } = setUp({ records: [record(ID, { deleted: true })], refused: ['delete_permanently'] });
  state().filterGallery({ deleted: true });
  await settled();
  state().removePermanently([ID]);
  await settled();
  expect(calls).toContain('delete_permanently');
  expect(state().gallery).toHaveLength(1);
  expect(state().notices).toMatchObject([{ tone: 'error' }]);
});

test('a star that fails is taken back and reported; an image that was starred stays starred', async () => {
  const { state } = setUp({ records: [record(ID), record(OTHER, { starred: true })], refused: ['star'] });
  state().refreshGallery();
  await settled();
  const stars = () => state().gallery.map((job) => job.isStarred);
  state().star(ID, true);
  state().star(OTHER, true);
  expect(stars()).toEqual([true, true]);
  await settled();
  expect(stars()).toEqual([false, true]);
  expect(state().notices).toMatchObject([{ tone: 'error', code: 'internal' }]);
  // twice at once: the last confirmed state counts
  state().star(ID, true);
  state().star(ID, false);
  state().receive({ type: 'job_starred', job_id: ID, starred: true });
  await settled();
  expect(stars()).toEqual([true, true]);
});

test('a reconnect and a new image keep the place in a long list', async () => {
  const records = many(450);
  const { state } = setUp({ records });
  state().refreshGallery();
  await settled();
  state().loadMoreGallery();
  await settled();
  state().setGalleryPlace({ scrollTopPx: 9000 });
  const before = state().gallery.map(({ id }) => id);
  records.unshift(record(ID));
  state().connectionChanged({ state: 'open' });
  await settled();
  expect(
    state()
      .gallery.map(({ id }) => id)
      .slice(0, 400),
  ).toEqual(before.slice(0, 400));
  state().mergeJobs([jobFromRecord(record(OTHER, { status: 'generated' }))]);
  state().receive(status(OTHER, 'completed'));
  expect(state().gallery[0]?.id).toBe(before[0]);
  expect(state().galleryArrivals.map(({ id }) => id)).toEqual([OTHER, ID]);
  state().setGalleryPlace({ scrollTopPx: 0 });
  expect(
    state()
      .gallery.slice(0, 3)
      .map(({ id }) => id),
  ).toEqual([OTHER, ID, before[0]]);
});

test("another tool's image fills the form, with sides rounded to valid sizes", async () => {
  const { state } = setUp();
  state().show('gallery');
  state().reuseFile(new Blob());
  await settled();
  expect(state().draft).toMatchObject({ prompt: 'a dog', steps: '4', seed: '9', seedMode: 'fixed', width: '304', height: '2048', modelType: 'uint4' });
  expect(state().screen).toBe('make');
});

test('a reload keeps the image on the stage, even if it is older than the listed ones', async () => {
  const { state, build } = setUp({ records: [record(OTHER)] });
  state().openJob(ID);
  state().show('gallery');
  state().filterGallery({ query: 'fox', dates: { choice: 'today', first: '', last: '' } });
  const again = build().getState;
  expect(again()).toMatchObject({ selectedId: ID, screen: 'gallery', galleryFilter: { query: 'fox', dates: { choice: 'today' } } });
  again().connectionChanged({ state: 'open' });
  await settled();
  await settled();
  expect(again().jobs[ID]?.params?.prompt).toBe('a fox');
});

test('commands of the desktop app reach the form and the stage', async () => {
  const { state } = setUp();
  state().runCommand({ command: 'go', screen: 'settings' });
  expect(state().screen).toBe('settings');
  state().runCommand({ command: 'fill', params: { prompt: 'a link', width: 999, seed: 7, model_type: 'int8', steps: 'many' } });
  expect(state()).toMatchObject({ screen: 'make', draft: { prompt: 'a link', width: '999', seed: '7', seedMode: 'fixed', modelType: 'int8' } });
  expect(Object.keys(state().problems).sort()).toEqual(['steps', 'width']);
  state().runCommand({ command: 'open_image', name: 'x.png', png: new Uint8Array([1]) });
  await settled();
  expect(state().draft.prompt).toBe('a dog');
  state().runCommand({ command: 'show_job', jobId: ID });
  await settled();
  expect(state()).toMatchObject({ screen: 'make', selectedId: ID });
  expect(state().jobs[ID]?.filename).toBe('f.png');
});

test('the update state arrives with responses and with commands', async () => {
  const asked: unknown[] = [];
  const desktop: DesktopBridge = {
    ask: (call) => {
      asked.push(call);
      return Promise.resolve(JSON.parse('{"state":"none","checkedAt":null}'));
    },
    onCommand: () => () => {},
  };
  const { state } = setUp({ desktop });
  state().askUpdate('getUpdate');
  await settled();
  expect(asked).toEqual([{ call: 'getUpdate' }]);
  expect(state().update).toEqual({ state: 'none', checkedAt: null });
  state().runCommand({ command: 'update', update: { state: 'checking' } });
  expect(state().update).toEqual({ state: 'checking' });
});

test('Show in folder calls the desktop app, and a missing file is reported', async () => {
  const asked: unknown[] = [];
  const desktop: DesktopBridge = {
    ask: (call) => {
      asked.push(call);
      return Promise.resolve(JSON.parse('false'));
    },
    onCommand: () => () => {},
  };
  const { state } = setUp({ desktop });
  expect(state().isDesktop).toBe(true);
  state().showInFolder('f.png');
  await settled();
  expect(asked).toEqual([{ call: 'showInFolder', filename: 'f.png' }]);
  expect(state().notices).toMatchObject([{ tone: 'error', code: 'unknown_image' }]);
});

test('the newest prompt is counted, and the cut stays while text is added after it', async () => {
  const { state, calls } = setUp();
  state().editDraft({ prompt: 'a fox' });
  state().countTokens();
  state().editDraft({ prompt: 'a fox in' });
  state().countTokens();
  await settled();
  expect(calls).toEqual(['tokens', 'tokens']);
  expect(state().tokens).toMatchObject({ prompt: 'a fox in', count: 8, limit: 4 });
  expect(cutOf('a fox in the snow', state().tokens)).toBe(4);
  expect(cutOf('the fox', state().tokens)).toBeNull();
  expect(cutOf('a fo', state().tokens)).toBeNull();
});

test('the log grows by new lines and starts over with a restarted server', async () => {
  const { state, logged } = setUp();
  const line = (number: number): LogLine => ({ number, time: '2026-01-01T00:00:00.000Z', level: 'info', text: 'x', fields: {} });
  logged.push(line(1), line(2));
  state().refreshLog();
  await settled();
  logged.push(line(3));
  state().refreshLog();
  await settled();
  expect(state().log?.map(({ number }) => number)).toEqual([1, 2, 3]);
  logged.splice(0, 3, line(1));
  state().refreshLog();
  await settled();
  expect(state().log?.map(({ number }) => number)).toEqual([1]);
});

test('a refused setting names its field, and a missing key is no notice', async () => {
  const { state } = setUp();
  expect(await state().changeServerSettings({ outputs_folder: '/nowhere' })).toMatchObject({ code: 'bad_param', field: 'outputs_folder' });
  state().refreshNetwork();
  await settled();
  expect(state()).toMatchObject({ isKeyMissing: true, notices: [] });
});

test('a full disk is reported until a job is accepted again', () => {
  const { state } = makeOne();
  state().receive({ type: 'error', code: 'disk_full', message: 'no room', request_id: 'w1-1' });
  expect(state()).toMatchObject({ isDiskFull: true, requests: {}, notices: [], draft: { prompt: 'a fox' } });
  state().make();
  state().receive(status(ID, 'pending', { request_id: 'w1-2' }));
  expect(state().isDiskFull).toBe(false);
});

test('the oldest finished jobs are dropped, but not the one on the stage or queued ones', () => {
  const { state } = setUp();
  const id = (number: number) => String(number).padStart(64, '0');
  const old = Array.from({ length: 500 }, (_, number) => jobFromRecord(record(id(number), { created_at: number })));
  state().select(id(3));
  state().mergeJobs([...old, jobFromRecord(record(OTHER, { status: 'pending', result: null, created_at: 0 }))]);
  state().mergeJobs([]);
  const known = Object.keys(state().jobs);
  expect(known).toHaveLength(202);
  expect(known).toEqual(expect.arrayContaining([id(3), id(499), OTHER]));
});

test('a range is selected from the image that was toggled last, and can shrink', async () => {
  const ids = ['0', '1', '2', '3', '4', '5'].map((digit) => digit.repeat(64));
  const { state } = setUp({ records: ids.map((id) => record(id)) });
  state().refreshGallery();
  await settled();
  const selected = () =>
    [...state().selection]
      .map((id) => id[0])
      .sort()
      .join('');
  state().toggleSelected(ids[0] ?? '');
  state().toggleSelected(ids[3] ?? '');
  state().selectTo(ids[5] ?? '');
  expect(selected()).toBe('0345');
  state().selectTo(ids[2] ?? '');
  expect(selected()).toBe('023');
});

test('a range without an anchor in the list is one image, and what leaves the list leaves the selection', async () => {
  const records = many(300);
  const { state } = setUp({ records });
  const id = (index: number) => records[index]?.job_id ?? '';
  state().refreshGallery();
  await settled();
  state().toggleSelected(id(150));
  state().setSelection([]);
  state().selectTo(id(50));
  expect([...state().selection]).toEqual([id(50)]);
  state().toggleSelected(id(60));
  state().receive(status(id(60), 'completed', { deleted: true }));
  expect([...state().selection]).toEqual([id(50)]);
  state().selectTo(id(40));
  expect([...state().selection].sort()).toEqual([id(40), id(50)]);
  state().filterGallery({ query: 'fox' });
  expect(state().selection.size).toBe(0);
});

test('models follow the messages of the server', async () => {
  const { state, calls } = setUp();
  state().receive({ type: 'model_progress', model });
  expect(state().models).toBeNull(); // nothing has loaded them yet
  state().refreshModels();
  await settled();
  expect(state().models?.models).toEqual([model]);
  state().receive({ type: 'model_progress', model: { ...model, state: 'downloading', bytes_done: 50 } });
  expect(state().models?.models).toEqual([{ ...model, state: 'downloading', bytes_done: 50 }]);
  state().actOnModel('OWNER/NAME', 'pause');
  await settled();
  expect(state().models?.models[0]?.state).toBe('paused');
  state().receive({ type: 'model_progress', model: { ...model, name: 'a folder', state: 'verifying' } });
  expect(state().models?.models.map(({ name }) => name)).toEqual(['a folder', 'OWNER/NAME']);
  // the server decides which one is active
  const asked = calls.filter((call) => call === 'models').length;
  state().receive({ type: 'model_progress', model: { ...model, state: 'installed' } });
  expect(calls.filter((call) => call === 'models').length).toBe(asked + 1);
});

test('a response that arrives after the message of its result is ignored', async () => {
  const { state } = setUp();
  state().refreshCudaPack();
  await settled();
  expect(state().cudaPack?.state).toBe('absent');
  const failed: CudaPackEntry = { ...cudaPack, state: 'failed', revision: 7, error: { code: 'download_failed', message: 'cut' } };
  state().receive({ type: 'cuda_pack_progress', pack: failed });
  state().receiveCudaPack({ ...cudaPack, state: 'downloading', revision: 6 });
  expect(state().cudaPack).toEqual(failed);
  state().receiveCudaPack({ ...cudaPack, state: 'downloading', revision: 8 });
  expect(state().cudaPack?.state).toBe('downloading');
});

test('a model that cannot be added or changed is reported', async () => {
  const { state } = setUp({ refused: ['actOnModel'] });
  expect((await state().addModel({ dir: '/llama' }))?.message).toBe('this folder is a LlamaForCausalLM');
  state().actOnModel('OWNER/NAME', 'install');
  await settled();
  expect(state().notices).toMatchObject([{ tone: 'error', code: 'internal' }]);
});
