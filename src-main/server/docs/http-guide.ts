import type { Bulk, BulkAnswer, JobPage, JobRecord, QueueAction, QueueSummary, Zip } from '#shared/domain/job-record.ts';
import type { ModelEntry, ModelLimits, NewModel } from '#shared/domain/model.ts';
import type { Verification } from '#shared/domain/verification.ts';
import { exampleCudaPack, exampleFile, exampleImageHash, exampleJobId, exampleParams, exampleRecipe, exampleResult } from '#shared/protocol/examples.ts';
import type { Clients, ControlNets, Labels, LogPage, Loras, Network, Receipt, Sizes, Tokens } from '#shared/protocol/http.ts';
import type { SettingsAnswer, SettingsChange } from '#shared/protocol/settings.ts';

/** An example of a call: what stands in its path, its query and its body, and what it answers. What a call does not have is left out. */
export interface HttpExample {
  params?: Record<string, string>;
  query?: Record<string, string | number | boolean>;
  body?: unknown;
  answer?: unknown;
}

const job: JobRecord = {
  job_id: exampleJobId,
  task_type: 'text_to_image',
  status: 'completed',
  params: exampleParams,
  result: exampleResult,
  error: null,
  code: null,
  checkpoint: 'storybook-uint4',
  upscaler: 'realesr-general-x4v3',
  created_at: 1_770_163_200.25,
  finished_at: 1_770_163_231.5,
  clients: ['my-script'],
  starred: true,
  deleted: false,
  deleted_at: null,
  position: null,
};

const queue: QueueSummary = {
  paused: true,
  waiting: 1,
  running: 0,
  order: [exampleJobId],
  limit: 1000,
  measured: [{ checkpoint: 'storybook-uint4', width: 1024, height: 1024, steps: 9, generate_ms: 31_000, upscale_ms: 9000, pictures: 12 }],
};

const settings: SettingsAnswer = {
  outputs_folder: '/srv/images',
  disk_limit_gb: 20,
  empty_bin_after_days: 30,
  window_jobs_first: true,
  unload_model_after_minutes: 30,
  device: 'auto',
  mark_images: true,
  fixed: [],
  takes_effect: {
    outputs_folder: 'next_picture',
    disk_limit_gb: 'now',
    empty_bin_after_days: 'now',
    window_jobs_first: 'now',
    unload_model_after_minutes: 'now',
    device: 'next_start',
    mark_images: 'next_picture',
  },
};

const model: ModelEntry = {
  name: 'storybook-uint4',
  kind: 'uint4',
  state: 'installed',
  active: true,
  license: 'Apache-2.0',
  source: { type: 'bundled', repository: null, revision: null, path: '/opt/studio/resources/models/storybook-uint4' },
  identity: '5c0e3d6f0a4b9d0f7c1b2a3948576655443322110ffeeddccbbaa99887766554',
  bytes_done: 17_100_000,
  bytes_total: 17_100_000,
  bytes_per_second: null,
  seconds_left: null,
  error: null,
  compilation: null,
};

const ofJob = { params: { id: exampleJobId } };

/** By method and path as they stand in the OpenAPI document. */
export const httpGuide: Readonly<Record<string, HttpExample>> = {
  'get /api/health': { answer: { status: 'ok' } },
  'get /api/info': {},
  'get /api/devices': {},
  'post /api/devices/probe': {},
  'get /api/cuda-pack': { answer: exampleCudaPack },
  'post /api/cuda-pack/{action}': { params: { action: 'install' }, body: { accept_licences: true }, answer: exampleCudaPack },
  'get /api/image/{filename}': { params: { filename: `${exampleFile}.png` }, query: { w: 256 } },
  'get /api/images/{filename}/receipt': {
    params: { filename: exampleResult.upscaled_filename },
    answer: {
      filename: exampleResult.upscaled_filename,
      recipe: exampleRecipe,
      original: { filename: exampleResult.filename, pixels_sha256: exampleRecipe.original_sha256, is_unchanged: true },
    } satisfies Receipt,
  },
  'get /api/jobs': { query: { query: 'lighthouse', status: 'completed', starred: true, limit: 20 }, answer: { jobs: [job], next: 118 } satisfies JobPage },
  'get /api/jobs/sizes': { answer: { sizes: [{ width: 1024, height: 1024, jobs: 117 }] } satisfies Sizes },
  'get /api/jobs/labels': { answer: { labels: [{ kind: 'album', name: 'Foxes', jobs: 12 }] } satisfies Labels },
  'post /api/jobs/bulk': { body: { ids: [exampleJobId], action: 'star' } satisfies Bulk, answer: { done: [exampleJobId], failed: [] } satisfies BulkAnswer },
  'post /api/jobs/zip': { body: { ids: [exampleJobId], files: 'all' } satisfies Zip },
  'get /api/jobs/{id}': { ...ofJob, answer: job },
  'patch /api/jobs/{id}': { ...ofJob, body: { starred: true }, answer: job },
  'delete /api/jobs/{id}': { ...ofJob, answer: { ...job, deleted: true, deleted_at: 1_770_163_300.5 } },
  'post /api/jobs/{id}/restore': { ...ofJob, answer: job },
  'get /api/bin/image/{filename}': { params: { filename: `${exampleFile}.png` }, query: { w: 256 } },
  'delete /api/bin/{id}': { ...ofJob, answer: { removed: 1 } },
  'delete /api/bin': { answer: { removed: 3 } },
  'get /api/queue': { answer: queue },
  'post /api/queue': { body: { action: 'pause' } satisfies QueueAction, answer: queue },
  'get /api/models': { answer: { models: [model], limits: { bytes_per_second: null }, cache_dir: '/srv/huggingface/hub' } },
  'post /api/models': { body: { repository: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32' } satisfies NewModel, answer: model },
  'put /api/models/limits': { body: { bytes_per_second: 1_000_000 } satisfies ModelLimits, answer: { bytes_per_second: 1_000_000 } satisfies ModelLimits },
  'post /api/models/{name}/{action}': { params: { name: 'storybook-uint4', action: 'verify' }, answer: model },
  'get /api/controlnets': { answer: { controlnets: [{ name: 'union-2.1', identity: exampleImageHash, size_bytes: 6_700_000_000 }] } satisfies ControlNets },
  'get /api/loras': {
    answer: { loras: [{ name: 'ink-drawing', identity: exampleImageHash, size_bytes: 85_000_000, trigger_words: ['ink drawing'] }] } satisfies Loras,
  },
  'post /api/tokens': { body: { prompt: 'a lighthouse at dusk', model_type: 'uint4' }, answer: { count: 13, limit: 512, cut_at: null } satisfies Tokens },
  'get /api/settings': { answer: settings },
  'put /api/settings': { body: { disk_limit_gb: 20 } satisfies SettingsChange, answer: settings },
  'get /api/network': {
    answer: {
      host: '0.0.0.0',
      port: 8004,
      reachable_from_network: true,
      key_required: true,
      key_included: true,
      addresses: [{ address: '192.168.1.7', interface: 'eth0', family: 'IPv4', url: 'http://192.168.1.7:8004/?token=KEY' }],
    } satisfies Network,
  },
  'get /api/clients': {
    answer: {
      clients: [{ client_id: 'my-script', first_seen: 1_770_163_199.5, last_seen: 1_770_163_240, jobs: 12, connections: 1, from: 'this_machine' }],
      anonymous_connections: 0,
    } satisfies Clients,
  },
  'get /api/log': {
    query: { level: 'warn', limit: 100 },
    answer: {
      lines: [{ number: 17, time: '2026-02-04T00:00:00.000Z', level: 'warn', text: 'a reader that is too slow is cut', fields: { code: 'slow_reader' } }],
      newest: 17,
    } satisfies LogPage,
  },
  'put /api/verify': {
    query: { repeat: true },
    answer: {
      ...{ format: 'png', width: 4096, height: 4096, pixels: 'intact', marked: true, obstacles: [], recipe: exampleRecipe },
      made_here: { job_id: exampleJobId, filename: exampleResult.upscaled_filename },
      repeat: { verdict: 'identical' },
    } satisfies Verification,
  },
  'get /api/uploads/{id}/image': { params: { id: exampleImageHash }, query: { w: 256 } },
  'put /api/uploads': {
    answer: {
      id: exampleImageHash,
      format: 'png',
      width: 1024,
      height: 1024,
      notices: [],
      texts: [{ keyword: 'parameters', text: 'a lighthouse at dusk' }],
      recipe: null,
    },
  },
};
