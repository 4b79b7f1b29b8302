import { z } from 'zod';

/**
 * `unsupported`: there is no pack for this system. `absent`: it can be installed. `paused`: it is partly installed. `failed`: the installation stopped with
 * `error`. `damaged`: files are missing or have changed.
 */
const cudaPackStateSchema = z.enum(['unsupported', 'absent', 'downloading', 'unpacking', 'paused', 'failed', 'installed', 'verifying', 'damaged']);

/** A licence that the user accepts with the installation. */
export const cudaLicenceSchema = z.object({
  name: z.string(),
  /** The parts of the pack under this licence. */
  covers: z.string(),
  /** Its text. */
  url: z.string(),
});
export type CudaLicence = z.infer<typeof cudaLicenceSchema>;

/** The libraries that ONNX Runtime needs for an NVIDIA card, as they are on this machine. */
export const cudaPackSchema = z.object({
  state: cudaPackStateSchema,
  /** The pack that this version of the program installs; also the name of its folder. Empty if `unsupported`. */
  version: z.string(),
  /** The version of ONNX Runtime that the program runs on; a pack for another one is not used. */
  onnxruntime: z.string(),
  /** The hosts that its files are downloaded from. */
  source: z.string(),
  /** Where they are on this machine, or null. */
  path: z.string().nullable(),
  /** Downloaded so far, and in total. */
  bytes_done: z.number().int(),
  bytes_total: z.number().int(),
  bytes_per_second: z.number().nullable(),
  seconds_left: z.number().nullable(),
  /** Disk space of the installed pack. */
  installed_bytes: z.number().int(),
  /** Why it is `unsupported`, `failed` or `damaged`. */
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** Grows with each change: of an answer and a message, the one with the larger revision is newer. */
  revision: z.number().int(),
  licences: z.array(cudaLicenceSchema),
  /** Installed packs of other versions. */
  others: z.array(z.object({ version: z.string(), onnxruntime: z.string(), size_bytes: z.number().int() })),
});
export type CudaPackEntry = z.infer<typeof cudaPackSchema>;

/** `install` downloads what is missing or resumes, `pause` stops, `verify` hashes every file again, `remove` deletes. */
export const cudaPackActionSchema = z.enum(['install', 'pause', 'verify', 'remove']);
export type CudaPackAction = z.infer<typeof cudaPackActionSchema>;

export const cudaPackOrderSchema = z.strictObject({
  /** Required by the first `install`: the user has read and accepts the licences. */
  accept_licences: z.boolean().default(false),
  /** For `remove`: one of the `others`; by default the pack of this version. */
  version: z
    .string()
    .regex(/^\w[\w.-]{0,99}$/, 'must be the version of a pack')
    .optional(),
});
export type CudaPackOrder = z.infer<typeof cudaPackOrderSchema>;
