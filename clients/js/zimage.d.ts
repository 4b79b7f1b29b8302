import type { ImageToImageParams, InpaintParams, JobPreview, JobProgress, JobStatus, TextToImageParams, Upload, UpscaleParams } from './wire.d.ts';

export type * from './wire.d.ts';

export interface StudioOptions {
  /** `http://127.0.0.1:8004` by default. */
  url?: string | undefined;
  /** The access key, for a server on another machine. */
  key?: string | undefined;
  /** Keeps subscriptions across connections. A random one by default. */
  clientId?: string | undefined;
  /** `seq` of an earlier client with the same `clientId`. */
  since?: number | undefined;
  /** Failed connections in a row before everything that waits rejects with `unreachable`. 10 by default. */
  retries?: number | undefined;
  /** For Node.js 20, which has none of its own: the class of the package `ws`. */
  WebSocket?: unknown;
}

export interface CallOptions {
  method?: string | undefined;
  body?: unknown;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
}

export type JobMessage = JobStatus | JobProgress | JobPreview;

/** The file name of an image made here, the id of an upload, or the bytes of an image file. */
export type ImageSource = string | Uint8Array<ArrayBuffer> | Blob;
export type EditParams = Omit<ImageToImageParams, 'image'> | (Omit<InpaintParams, 'image' | 'mask'> & { mask: ImageSource });

export declare class StudioError extends Error {
  code: string;
  field?: string;
  /** Of an HTTP answer. */
  status?: number;
}

export declare class Studio {
  constructor(options?: StudioOptions);
  readonly clientId: string;
  readonly seq: number | undefined;
  create(params: TextToImageParams, options?: { taskType?: string; previews?: boolean }): Job;
  create(params: Record<string, unknown>, options: { taskType: string; previews?: boolean }): Job;
  edit(image: ImageSource, params: EditParams, options?: { previews?: boolean }): Promise<Job>;
  upscale(image: ImageSource, params?: Omit<UpscaleParams, 'image'>): Promise<Job>;
  upload(bytes: Uint8Array<ArrayBuffer> | Blob): Promise<Upload>;
  job(jobId: string): Job;
  cancel(jobId: string): Promise<JobStatus>;
  call(path: string, options?: CallOptions): Promise<unknown>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  image(filename: string, options?: { width?: number | undefined }): Promise<Uint8Array<ArrayBuffer>>;
  close(): void;
}

export declare class Job implements AsyncIterable<JobMessage> {
  /** Known with the first message. */
  id: string | undefined;
  [Symbol.asyncIterator](): AsyncGenerator<JobMessage>;
  result(): Promise<JobStatus>;
  cancel(): Promise<JobStatus>;
}
