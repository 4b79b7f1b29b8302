import { z } from 'zod';
import { modelTypeSchema } from './job.ts';

/** One file that changes how a checkpoint draws. */
export const extraKindSchema = z.enum(['lora', 'controlnet']);
export type ExtraKind = z.infer<typeof extraKindSchema>;

/** The kind of a checkpoint is its `model_type`. */
export const modelKindSchema = z.enum([...modelTypeSchema.options, ...extraKindSchema.options, 'upscaler']);
export type ModelKind = z.infer<typeof modelKindSchema>;

/** `absent` can be installed; `damaged`: files are missing or have changed; `failed`: the download stopped with `error`. */
const modelStateSchema = z.enum(['absent', 'queued', 'downloading', 'paused', 'verifying', 'installed', 'damaged', 'failed']);

/** The result of compiling a checkpoint on this machine. */
export const modelCompilationSchema = z.object({
  milliseconds: z.number(),
  graphs: z.array(
    z.object({
      name: z.string(),
      nodes: z.number().int(),
      /** Bytes of weights that are used where the checkpoint has them. */
      in_place_bytes: z.number(),
      /** Bytes of weights that had to be written again, and why. */
      unpacked_bytes: z.number(),
      reasons: z.array(z.string()),
    }),
  ),
});
export type ModelCompilation = z.infer<typeof modelCompilationSchema>;

/** What a LoRA's file says about itself; absent where it says nothing. */
export const extraMetadataSchema = z.object({
  /** Words of a prompt that bring out what it was trained on. */
  trigger_words: z.array(z.string()).exactOptional(),
  /** The model that it was trained on. */
  base_model: z.string().exactOptional(),
});
export type ExtraMetadata = z.infer<typeof extraMetadataSchema>;

/** A model that is on this machine or can be installed on it. */
export const modelEntrySchema = z.object({
  /** `OWNER/NAME` of its repository, or its folder's name: unique on this machine. */
  name: z.string(),
  kind: modelKindSchema,
  state: modelStateSchema,
  /** Whether it is the active model of its kind. */
  active: z.boolean(),
  license: z.string(),
  source: z.object({
    /** `bundled` came with the program; `hub` is a repository that is downloaded; `folder` is used where the user has it. */
    type: z.enum(['bundled', 'hub', 'folder']),
    repository: z.string().nullable(),
    /** The pinned commit of the repository, once it was asked for. */
    revision: z.string().nullable(),
    /** Where its files are on this machine, or null. */
    path: z.string().nullable(),
  }),
  /** SHA-256 over the hashes of its files, once it is complete. */
  identity: z.string().nullable(),
  bytes_done: z.number().int(),
  /** An estimate while the model is absent. */
  bytes_total: z.number().int(),
  /** While `downloading` or `verifying`. */
  bytes_per_second: z.number().nullable(),
  seconds_left: z.number().nullable(),
  /** Why it is `damaged` or `failed`. */
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  compilation: modelCompilationSchema.nullable(),
  ...extraMetadataSchema.shape,
});
export type ModelEntry = z.infer<typeof modelEntrySchema>;

/**
 * `install` downloads what is missing, `pause` and `resume` a download, `remove` deletes what was downloaded (the user's own folder stays on the disk),
 * `verify` hashes every file again, `use` makes it the active model of its kind.
 */
export const modelActionSchema = z.enum(['install', 'pause', 'resume', 'remove', 'verify', 'use']);
export type ModelAction = z.infer<typeof modelActionSchema>;

const repositoryPattern = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/** A folder or a LoRA's or ControlNet's file of this machine, used in place, or a repository, whose download begins. */
export const newModelSchema = z
  .strictObject({
    dir: z.string().min(1).max(4096).optional(),
    /** A safetensors file of this machine, or of the repository where it has several. */
    file: z.string().min(1).max(4096).optional(),
    repository: z.string().regex(repositoryPattern, 'must be OWNER/NAME').optional(),
    /** Branch, tag or commit of the repository; `main` without it. */
    revision: z
      .string()
      .regex(/^\w[\w.-]{0,99}$/, 'must be a branch, a tag or a commit')
      .optional(),
  })
  .refine(
    ({ dir, repository, file }) => (dir === undefined ? file !== undefined || repository !== undefined : file === undefined && repository === undefined),
    {
      path: ['dir'],
      message: 'must stand alone: a dir, a file or a repository',
    },
  );
export type NewModel = z.infer<typeof newModelSchema>;

export const modelLimitsSchema = z.strictObject({
  /** Bytes a second that all downloads together may take; null for no limit. */
  bytes_per_second: z.number().int().min(65_536).nullable(),
});
export type ModelLimits = z.infer<typeof modelLimitsSchema>;
