import type { z } from 'zod';
import { type CudaPackAction, type CudaPackEntry, cudaPackSchema } from '#shared/domain/cuda-pack.ts';
import { type Devices, devicesSchema } from '#shared/domain/device.ts';
import type { ModelType } from '#shared/domain/job.ts';
import {
  type Bulk,
  type BulkAnswer,
  bulkAnswerSchema,
  type JobPage,
  type JobQuery,
  type JobRecord,
  jobPageSchema,
  jobRecordSchema,
  type QueueAction,
  type QueueSummary,
  queueSummarySchema,
  type Zip,
} from '#shared/domain/job-record.ts';
import { type ModelAction, type ModelEntry, type ModelLimits, modelEntrySchema, modelLimitsSchema, type NewModel } from '#shared/domain/model.ts';
import { type Verification, verificationSchema } from '#shared/domain/verification.ts';
import {
  binSchema,
  type Clients,
  type ControlNets,
  clientsSchema,
  controlNetsSchema,
  httpErrorSchema,
  type Info,
  infoSchema,
  type Labels,
  type LogPage,
  type Loras,
  labelsSchema,
  logSchema,
  lorasSchema,
  type Models,
  modelsSchema,
  type Network,
  networkSchema,
  type Sizes,
  sizesSchema,
  type THUMBNAIL_WIDTHS,
  type Tokens,
  tokensSchema,
  type Upload,
  uploadSchema,
} from '#shared/protocol/http.ts';
import { type SettingsAnswer, type SettingsChange, settingsAnswerSchema } from '#shared/protocol/settings.ts';

/** A failed call. `code` is the server's, `unreachable` if there was no response, `unreadable` for a response that does not match the contract. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure';
  readonly code: string;
  /** The field that the server rejected, if it names one. */
  readonly field: string | undefined;

  constructor(code: string, message: string, options: { cause?: unknown; field?: string | undefined } = {}) {
    super(message, options);
    this.code = code;
    this.field = options.field;
  }
}

/** The documented calls that the window uses. Every promise rejects with `HttpFailure`. */
export interface StudioHttp {
  listJobs(query: Partial<JobQuery>): Promise<JobPage>;
  job(jobId: string): Promise<JobRecord>;
  star(jobId: string, starred: boolean): Promise<JobRecord>;
  /** Deletes, restores or stars many jobs; the answer says for each whether it was done. */
  bulk(bulk: Bulk): Promise<BulkAnswer>;
  /** The images of many jobs as a zip. */
  zip(choice: Zip): Promise<Blob>;
  queue(action: QueueAction): Promise<QueueSummary>;
  info(): Promise<Info>;
  tokens(prompt: string, modelType: ModelType): Promise<Tokens>;
  settings(): Promise<SettingsAnswer>;
  changeSettings(change: SettingsChange): Promise<SettingsAnswer>;
  network(): Promise<Network>;
  /** The devices that can make images; `again` tests each of them first. */
  devices(again: boolean): Promise<Devices>;
  cudaPack(): Promise<CudaPackEntry>;
  /** Resolves with the new state of the pack; `cuda_pack_progress` messages report what takes longer. */
  actOnCudaPack(action: CudaPackAction, acceptLicences: boolean): Promise<CudaPackEntry>;
  clients(): Promise<Clients>;
  sizes(): Promise<Sizes>;
  labels(): Promise<Labels>;
  /** The lines after number `since`. */
  log(since: number): Promise<LogPage>;
  emptyBin(): Promise<{ removed: number }>;
  models(): Promise<Models>;
  /** Resolves with the new state of the model; `model_progress` messages report what takes longer. */
  actOnModel(name: string, action: ModelAction): Promise<ModelEntry>;
  addModel(model: NewModel): Promise<ModelEntry>;
  limitDownloads(limits: ModelLimits): Promise<ModelLimits>;
  loras(): Promise<Loras>;
  controlNets(): Promise<ControlNets>;
  /** An image's file. */
  image(filename: string): Promise<Blob>;
  /** Reads the metadata of an image file. */
  readImage(image: Blob): Promise<Upload>;
  /** With `repeat` the image is made again and compared, which takes as long as a new one. */
  verifyImage(image: Blob, repeat: boolean): Promise<Verification>;
}

export function createStudioHttp(fetcher: typeof fetch): StudioHttp {
  async function ask(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetcher(path, init);
    } catch (cause) {
      throw new HttpFailure('unreachable', `No response from ${path}`, { cause });
    }
    if (!response.ok) throw failureOf(response, await response.json().catch(() => null));
    return response;
  }

  async function call<T>(schema: z.ZodType<T>, path: string, init: RequestInit = {}): Promise<T> {
    const response = await ask(path, init);
    const body: unknown = await response.json().catch(() => null);
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw new HttpFailure('unreadable', `The response from ${path} does not match what this page expects`, { cause: parsed.error });
    return parsed.data;
  }

  const withBody = (method: string, body: unknown): RequestInit => ({ method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

  return {
    listJobs: (query) => call(jobPageSchema, `/api/jobs?${queryString(query)}`),
    job: (jobId) => call(jobRecordSchema, `/api/jobs/${jobId}`),
    star: (jobId, starred) => call(jobRecordSchema, `/api/jobs/${jobId}`, withBody('PATCH', { starred })),
    bulk: (bulk) => call(bulkAnswerSchema, '/api/jobs/bulk', withBody('POST', bulk)),
    zip: async (choice) => (await ask('/api/jobs/zip', withBody('POST', choice))).blob(),
    queue: (action) => call(queueSummarySchema, '/api/queue', withBody('POST', action)),
    info: () => call(infoSchema, '/api/info'),
    tokens: (prompt, model_type) => call(tokensSchema, '/api/tokens', withBody('POST', { prompt, model_type })),
    settings: () => call(settingsAnswerSchema, '/api/settings'),
    changeSettings: (change) => call(settingsAnswerSchema, '/api/settings', withBody('PUT', change)),
    devices: (again) => (again ? call(devicesSchema, '/api/devices/probe', withBody('POST', {})) : call(devicesSchema, '/api/devices')),
    cudaPack: () => call(cudaPackSchema, '/api/cuda-pack'),
    actOnCudaPack: (action, accept_licences) => call(cudaPackSchema, `/api/cuda-pack/${action}`, withBody('POST', { accept_licences })),
    network: () => call(networkSchema, '/api/network'),
    clients: () => call(clientsSchema, '/api/clients'),
    sizes: () => call(sizesSchema, '/api/jobs/sizes'),
    labels: () => call(labelsSchema, '/api/jobs/labels'),
    log: (since) => call(logSchema, `/api/log?since=${since}&limit=2000`),
    emptyBin: () => call(binSchema, '/api/bin', { method: 'DELETE' }),
    models: () => call(modelsSchema, '/api/models'),
    actOnModel: (name, action) => call(modelEntrySchema, `/api/models/${encodeURIComponent(name)}/${action}`, { method: 'POST' }),
    addModel: (model) => call(modelEntrySchema, '/api/models', withBody('POST', model)),
    limitDownloads: (limits) => call(modelLimitsSchema, '/api/models/limits', withBody('PUT', limits)),
    loras: () => call(lorasSchema, '/api/loras'),
    controlNets: () => call(controlNetsSchema, '/api/controlnets'),
    image: async (filename) => (await ask(imageUrl(filename))).blob(),
    verifyImage: (image, repeat) =>
      call(verificationSchema, `/api/verify?repeat=${repeat}`, { method: 'PUT', headers: { 'content-type': imageType(image) }, body: image }),
    readImage: (image) => call(uploadSchema, '/api/uploads', { method: 'PUT', headers: { 'content-type': imageType(image) }, body: image }),
  };
}

/** The server decides by the file's first bytes; it only takes bodies that claim to be images. */
function imageType({ type }: Blob): string {
  return type.startsWith('image/') ? type : 'image/unknown';
}

function failureOf(response: Response, body: unknown): HttpFailure {
  const parsed = httpErrorSchema.safeParse(body);
  return parsed.success
    ? new HttpFailure(parsed.data.code, parsed.data.message, { field: parsed.data.field })
    : new HttpFailure('unreadable', `${response.status} ${response.statusText}`);
}

function queryString(query: Partial<JobQuery>): URLSearchParams {
  return new URLSearchParams(Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])));
}

/** Address of an image, or of its thumbnail of this width. */
export function imageUrl(filename: string, width?: (typeof THUMBNAIL_WIDTHS)[number]): string {
  return `/api/image/${encodeURIComponent(filename)}${width === undefined ? '' : `?w=${width}`}`;
}

/** Address of what the server decoded from an upload. */
export function uploadUrl(id: string, width?: (typeof THUMBNAIL_WIDTHS)[number]): string {
  return `/api/uploads/${id}/image${width === undefined ? '' : `?w=${width}`}`;
}

/** Address of the thumbnail of an image in the bin. */
export function binImageUrl(filename: string, width: (typeof THUMBNAIL_WIDTHS)[number]): string {
  return `/api/bin/image/${encodeURIComponent(filename)}?w=${width}`;
}
