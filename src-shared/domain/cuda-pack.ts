import { z } from 'zod';

/**
 * `unsupported`: there is none for this system. `absent`: it can be installed. `paused`: a part of it is here and nothing goes on. `failed`: it stopped on the
 * way, with the error beside it. `damaged`: it was installed, and its files are gone or not what they were.
 */
const cudaPackStateSchema = z.enum(['unsupported', 'absent', 'downloading', 'unpacking', 'paused', 'failed', 'installed', 'verifying', 'damaged']);

/** A licence that whoever installs the pack agrees to. */
export const cudaLicenceSchema = z.object({
  name: z.string(),
  /** What of the pack stands under it. */
  covers: z.string(),
  /** Its text. */
  url: z.string(),
});
export type CudaLicence = z.infer<typeof cudaLicenceSchema>;

/** The libraries that ONNX Runtime needs for an NVIDIA card, as they are on this machine. */
export const cudaPackSchema = z.object({
  state: cudaPackStateSchema,
  /** The pack that this version of the program installs; also the name of its folder. Empty where it is `unsupported`. */
  version: z.string(),
  /** The version of ONNX Runtime that the program runs on; a pack for another one is not used. */
  onnxruntime: z.string(),
  /** Where its files come from. */
  source: z.string(),
  /** Where they are on this machine, or null. */
  path: z.string().nullable(),
  /** Fetched so far, and to be fetched altogether. */
  bytes_done: z.number().int(),
  bytes_total: z.number().int(),
  bytes_per_second: z.number().nullable(),
  seconds_left: z.number().nullable(),
  /** On the disk once it is installed. */
  installed_bytes: z.number().int(),
  /** Why it is `unsupported`, `failed` or `damaged`. */
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** Grows with each change: who hears of the pack by an answer and by a message keeps what has the larger one. */
  revision: z.number().int(),
  licences: z.array(cudaLicenceSchema),
  /** Packs of other versions that lie here beside it. */
  others: z.array(z.object({ version: z.string(), onnxruntime: z.string(), size_bytes: z.number().int() })),
});
export type CudaPackEntry = z.infer<typeof cudaPackSchema>;

/** `install` fetches what is missing and goes on where it stopped, `pause` stops it, `verify` hashes every file again, `remove` deletes it. */
export const cudaPackActionSchema = z.enum(['install', 'pause', 'verify', 'remove']);
export type CudaPackAction = z.infer<typeof cudaPackActionSchema>;

export const cudaPackOrderSchema = z.strictObject({
  /** Needed by the first `install`: that whoever asks has read the licences and agrees to them. */
  accept_licences: z.boolean().default(false),
  /** Of `remove`: one of the `others`; without it the pack of this version. */
  version: z
    .string()
    .regex(/^\w[\w.-]{0,99}$/, 'must be the version of a pack')
    .optional(),
});
export type CudaPackOrder = z.infer<typeof cudaPackOrderSchema>;
