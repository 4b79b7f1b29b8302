import { z } from 'zod';

const none = z.object({});
const field = z.object({ field: z.string() });
const limit = z.object({ limit: z.number() });
const retry = z.object({ retryAfterMs: z.number().int().nonnegative() });

/**
 * Every error that leaves the program, with the data that it carries. One row a code; each has a heading in `docs/errors.md`.
 * Whoever handles an error looks at the code and this data, never at the message.
 */
export const errorTable = {
  // the frame or the request
  bad_json: none,
  bad_message: none,
  unknown_message_type: none,
  missing_param: field,
  unknown_param: field,
  bad_param: field,
  bad_client_id: none,
  client_id_required: none,
  frame_too_large: limit,
  too_many_connections: limit,
  rate_limited: retry,
  slow_reader: none,
  // access
  forbidden_host: none,
  forbidden_origin: none,
  forbidden_site: none,
  access_key_required: none,
  not_found: none,
  method_not_allowed: z.object({ allowed: z.array(z.string()) }),
  unsupported_media_type: none,
  body_too_large: limit,
  request_timeout: none,
  headers_too_large: none,
  range_not_satisfiable: none,
  upgrade_required: none,
  // jobs
  unknown_job: none,
  not_cancellable: z.object({ status: z.string() }),
  job_of_others: none,
  job_not_ended: z.object({ status: z.string() }),
  queue_full: z.object({ limit: z.number(), retryAfterMs: z.number().int().nonnegative() }),
  unknown_image: none,
  shutting_down: none,
  // the disk and the machine
  disk_full: z.object({ neededBytes: z.number(), freeBytes: z.number() }),
  folder_not_writable: z.object({ folder: z.string() }),
  disk_failed: none,
  picture_damaged: none,
  port_taken: z.object({ port: z.number() }),
  data_folder_in_use: z.object({ folder: z.string() }),
  database_newer: z.object({ found: z.number(), supported: z.number() }),
  database_damaged: none,
  bad_option: z.object({ option: z.string() }),
  // checkpoints
  checkpoint_missing: z.object({ path: z.string() }),
  checkpoint_damaged: z.object({ path: z.string() }),
  checkpoint_unsupported: z.object({ path: z.string() }),
  model_not_installed: z.object({ modelType: z.string() }),
  unknown_model: none,
  model_busy: z.object({ state: z.string() }),
  repository_unavailable: z.object({ repository: z.string() }),
  download_refused: none,
  download_failed: none,
  licence_not_accepted: z.object({ licences: z.array(z.string()) }),
  cuda_pack_busy: z.object({ state: z.string() }),
  cuda_pack_damaged: z.object({ file: z.string() }),
  cuda_pack_unsupported: none,
  graph_invalid: z.object({ graph: z.string(), node: z.string() }),
  // the engine
  engine_crashed: none,
  engine_hung: none,
  engine_out_of_memory: none,
  engine_unavailable: none,
  engine_failed: none,
  device_unavailable: z.object({ device: z.string() }),
  latents_not_finite: z.object({ step: z.number().int() }),
  latents_collapsed: z.object({ step: z.number().int() }),
  picture_not_finite: none,
  picture_flat: none,
  cancelled: none,
  internal: none,
} as const;

export type ErrorCode = keyof typeof errorTable;
export type ErrorData<C extends ErrorCode> = z.infer<(typeof errorTable)[C]>;

/** The one error class. `message` is one sentence for a person: the thing, the value met, the values allowed, what to do. */
export class AppError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AppError';
  readonly code: C;
  readonly data: ErrorData<C>;

  constructor(code: C, message: string, data: ErrorData<C>, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.data = data;
  }
}

/** An error as it crosses a process border or stands in the database. */
export const wireErrorSchema = z.object({
  code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type WireError = z.infer<typeof wireErrorSchema>;

/** Turns anything thrown into the form that crosses a border; what is not an `AppError` becomes `internal` with its message. */
export function toWireError(thrown: unknown): WireError {
  if (thrown instanceof AppError) return { code: thrown.code, message: thrown.message, data: thrown.data as Record<string, unknown> };
  return { code: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown), data: {} };
}

/** The inverse of `toWireError`. Throws `ZodError` where the data do not fit the code. */
export function fromWireError(wire: WireError): AppError {
  return new AppError(wire.code, wire.message, errorTable[wire.code].parse(wire.data) as ErrorData<ErrorCode>);
}
