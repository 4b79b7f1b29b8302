import { z } from 'zod';

const none = z.object({});
const field = z.object({ field: z.string() });
const limit = z.object({ limit: z.number() });
const retry = z.object({ retryAfterMs: z.number().int().nonnegative() });

interface RowText<Data extends z.ZodObject> {
  /** What happened, for `docs/errors.md`. */
  meaning: string;
  /** What the user can do about it. */
  advice: string;
  /** The message, where it follows from the data alone; `appError` uses it. */
  message?: (data: z.infer<Data>) => string;
}

/** @param status Of an HTTP answer with this code; 500 where no request causes it. */
function row<Data extends z.ZodObject, Text extends RowText<Data>>(status: number, data: Data, text: Text) {
  return { status, data, ...text };
}

/**
 * Every error that leaves the program: HTTP status, data and texts, one row a code. `docs/errors.md` is generated from it.
 * Programs decide by the code and the data, never by the message.
 */
export const errorTable = {
  // Messages and requests
  bad_json: row(400, none, {
    meaning: 'The frame or the body is not JSON, or an object in a body has a key such as `__proto__`.',
    advice: 'Send one JSON value, as the JSON library of your language writes it.',
  }),
  bad_message: row(400, none, {
    meaning:
      'The request is not valid HTTP (no `Host` header or two, contradicting lengths, a broken handshake), or the message is not what is expected here: a binary frame, a list instead of an object, an address that is not a path.',
    advice: 'Send one JSON object in one text frame; see `/docs/websocket`.',
  }),
  unknown_message_type: row(500, none, {
    meaning: 'The server does not know this `type` of message.',
    advice: 'Use one of the types that the message lists.',
  }),
  missing_param: row(400, field, {
    meaning: 'A required field is missing.',
    advice: 'Add it. The message says what it must be.',
  }),
  unknown_param: row(400, field, {
    meaning: 'There is no parameter with this name. It is not ignored, because a misspelled name would silently make another image.',
    advice: 'Correct the name or leave it out. The message lists the known names.',
  }),
  bad_param: row(400, field, {
    meaning: 'The value has the wrong type or is out of range. Values are not converted: `"1024"` is not `1024`.',
    advice: 'Send a value that the message allows.',
  }),
  bad_client_id: row(400, none, {
    meaning: '`client_id` is empty, is longer than 128 characters, contains control characters or was sent twice. The WebSocket is not opened.',
    advice: 'Use 1 to 128 printable characters, or leave it out.',
  }),
  client_id_required: row(400, none, {
    meaning: 'The message needs a `client_id` on the connection.',
    advice: 'Connect to `/api/ws?client_id=ID`.',
    message: () => 'This message needs a client_id on the connection. Connect to /api/ws?client_id=ID.',
  }),
  frame_too_large: row(500, limit, {
    meaning: 'A frame was larger than `limit` bytes (64 KiB). The socket was closed with code 1009; this error is in the log only.',
    advice: 'Send smaller messages. A prompt has at most 4,000 characters.',
  }),
  too_many_connections: row(429, limit, {
    meaning: '`limit` sockets are open already: in total, or from one address.',
    advice: 'Close sockets that you do not need. One socket carries any number of jobs.',
  }),
  rate_limited: row(429, retry, {
    meaning: 'Another machine sent more requests or messages than allowed.',
    advice: 'Wait for the time given.',
    message: ({ retryAfterMs }) => `Too many requests from this address. Wait ${retryAfterMs} ms.`,
  }),
  too_many_uploads: row(503, retry, {
    meaning: 'Other uploads already use the memory that uploads may use together, or the uploads that one address may have at once.',
    advice: 'Try again after the time given.',
    message: () => 'The server is receiving as many uploads as it can. Try again in a moment.',
  }),
  slow_reader: row(500, none, {
    meaning:
      'A client left more than 4 MiB unread. The socket was closed with code 1008, and dropped a second later; this error is in the log and in the close reason.',
    advice: 'Read faster or subscribe to less (no previews, not all jobs). Connect again with `since` to get what was missed.',
  }),
  // Who may call
  forbidden_host: row(403, none, {
    meaning: "The `Host` header is not an IP address, `localhost`, this machine's name or a listed name.",
    advice: 'Start the server with `--allow-host NAME` if browsers may reach it under that name.',
  }),
  forbidden_origin: row(403, none, {
    meaning: 'A web page of another origin made the request.',
    advice: 'Start the server with `--allow-origin ORIGIN` if that page may call it.',
  }),
  forbidden_site: row(403, none, {
    meaning: 'Another web site tried to load something from this server.',
    advice: "Open the page directly, or list the site's origin with `--allow-origin`.",
  }),
  access_key_required: row(401, none, {
    meaning: 'The request comes from another machine, through a proxy, or to a server started with `--require-key`, and has no valid access key.',
    advice:
      'Send `Authorization: Bearer KEY` or `?token=KEY`, or open `/?token=KEY` in a browser once. The server prints the key at start; `--new-key` writes a new one.',
    message: () =>
      'The access key is required: send it as "Authorization: Bearer KEY" or as ?token=KEY, or open /?token=KEY in a browser once. The server prints the key at start.',
  }),
  not_found: row(404, none, {
    meaning: 'Nothing is served at this address.',
    advice: 'Look it up in `/docs`.',
    message: () => 'Nothing is served at this address. /docs lists every call.',
  }),
  method_not_allowed: row(405, z.object({ allowed: z.array(z.string()) }), {
    meaning: 'This address takes other methods.',
    advice: 'Use one of `allowed`.',
    message: ({ allowed }) => `This address takes ${allowed.join(', ')}.`,
  }),
  not_supported: row(400, none, {
    meaning: "Another program's API has this call or option, and this server does not.",
    advice: 'The message says what is supported.',
  }),
  unsupported_media_type: row(415, none, {
    meaning: 'The content type or the content encoding of the body is not supported here.',
    advice: 'Send `application/json`, or `image/*` to `/api/uploads`, without compression.',
  }),
  body_too_large: row(413, limit, {
    meaning: 'The body is larger than `limit` bytes.',
    advice: 'Send less.',
    message: ({ limit }) => `The body is larger than the ${limit} bytes allowed here.`,
  }),
  request_timeout: row(408, none, {
    meaning:
      'The headers took longer than 10 seconds, a body longer than 30 seconds, or an upload stood still for 30 seconds or took longer than its size allows.',
    advice: 'Send the request again, over a faster connection if need be.',
    message: () => 'The request did not arrive in time. Send it again.',
  }),
  headers_too_large: row(431, none, {
    meaning: 'The headers are larger than 16 KiB.',
    advice: 'Send fewer or shorter headers. Cookies are a common cause.',
    message: () => 'The headers are larger than 16 KiB. Send fewer or shorter ones.',
  }),
  precondition_failed: row(412, none, {
    meaning: 'The file is not the version that `If-Match` or `If-Unmodified-Since` asks for.',
    advice: 'Fetch the file without the condition.',
    message: () => 'The file is not the version that the condition asks for.',
  }),
  range_not_satisfiable: row(416, none, {
    meaning: 'The `Range` is outside of the file.',
    advice: 'Ask for bytes that the file has, or for all of it.',
    message: () => 'The range is outside of the file.',
  }),
  upgrade_required: row(426, none, {
    meaning: "A plain HTTP request, or a handshake for a WebSocket version other than 13, was sent to the WebSocket's address.",
    advice: 'Connect with a WebSocket client.',
  }),
  // Jobs and images
  unknown_job: row(404, none, {
    meaning: 'There is no job with this id, or it is not in the queue where it should be moved.',
    advice: 'Take the id from `job_status` or `client_jobs`.',
  }),
  not_cancellable: row(409, z.object({ status: z.string() }), {
    meaning: 'Only pending and processing jobs can be cancelled.',
    advice: 'Nothing: the job is past that point.',
    message: ({ status }) => `The job is ${status}; only pending and processing jobs can be cancelled.`,
  }),
  job_of_others: row(409, none, {
    meaning: 'Only other clients asked for this job.',
    advice: 'Let one of them cancel it.',
    message: () => 'Only other clients asked for this job, so it cannot be cancelled from here.',
  }),
  job_not_ended: row(409, z.object({ status: z.string() }), {
    meaning: 'Only a job that has ended can be moved to the bin.',
    advice: 'Wait for its end, or cancel it first.',
  }),
  job_of_other_version: row(409, none, {
    meaning: 'Another version of the program saved this job with values that this version does not know. It is listed, but not run, changed or deleted.',
    advice: 'Use the version that saved it.',
    message: () => 'This job was saved by another version of the program and cannot be run, changed or deleted by this one. Use that version.',
  }),
  queue_full: row(503, z.object({ limit: z.number(), retryAfterMs: z.number().int().nonnegative() }), {
    meaning: '`limit` jobs are waiting, which is the maximum.',
    advice: 'Try again after the time given.',
  }),
  unknown_image: row(404, z.object({ field: z.string().exactOptional() }), {
    meaning: 'There is no image with this name, or it is in the bin; or there is no upload with this id, or it was removed a day after its last use.',
    advice: 'Take the name from `job_status`, or upload the image again. Bring an image back with `POST /api/jobs/{id}/restore`.',
  }),
  shutting_down: row(503, none, {
    meaning: 'The server is shutting down and accepts nothing new.',
    advice: 'Connect again after its next start. Accepted jobs continue then.',
    message: () => 'The server is shutting down. Try again when it is back.',
  }),
  // The disk and the machine
  disk_full: row(507, z.object({ neededBytes: z.number(), freeBytes: z.number() }), {
    meaning: 'The disk does not have enough free space.',
    advice: 'Free the missing space, empty the bin, or use another disk with `--data-dir`.',
  }),
  folder_not_writable: row(507, z.object({ folder: z.string() }), {
    meaning: 'The program may not write to this folder.',
    advice: 'Give its user write access, or use another folder with `--data-dir`.',
  }),
  disk_failed: row(507, none, {
    meaning: 'The system reported an error while reading or writing a file or the database.',
    advice: 'Check the disk and its cable or network. The log has the details.',
  }),
  too_many_open_files: row(503, none, {
    meaning: 'The server has as many files and connections open as the system allows. The file that it wanted to open is not damaged.',
    advice: 'Try again. If it happens often, raise the limit with `ulimit -n`.',
  }),
  picture_damaged: row(422, none, {
    meaning: 'The bytes are not an image that can be decoded.',
    advice: 'Use the complete file. For an image made here, run the job again.',
  }),
  port_taken: row(500, z.object({ port: z.number() }), {
    meaning: 'Another program is listening on this port.',
    advice: 'Stop it, or choose another port with `--port`. 0 picks a free one.',
    message: ({ port }) => `Port ${port} is taken by another program. Stop that program, or choose another port with --port (0 picks a free one).`,
  }),
  data_folder_in_use: row(500, z.object({ folder: z.string() }), {
    meaning: 'Another instance is using this data folder.',
    advice: 'Stop it, or start this one with another `--data-dir`.',
  }),
  database_newer: row(500, z.object({ found: z.number(), supported: z.number() }), {
    meaning: 'A newer version of the program wrote the database.',
    advice: 'Start that version, or use another `--data-dir`.',
  }),
  database_damaged: row(500, none, {
    meaning: 'The database could not be read. It was moved aside, not deleted, and the images were indexed again from their metadata.',
    advice: 'Nothing. Check the disk if it happens again.',
  }),
  database_busy: row(503, none, {
    meaning: 'Another program kept the database in the data folder locked for several seconds.',
    advice: 'Close it (a database browser, a backup, a virus scan), then try again.',
    message: () =>
      'Another program keeps the database in the data folder locked; nothing was changed. Close it (a database browser, a backup), then try again.',
  }),
  bad_option: row(500, z.object({ option: z.string() }), {
    meaning: 'An option on the command line or in the environment is unknown or has a wrong value. The exit status is 2.',
    advice: 'Correct it. `--help` lists the options.',
  }),
  server_unreachable: row(502, none, {
    meaning: 'A command found no running server.',
    advice: 'Start one with `zimage serve` or the desktop app, or name its address with `--url` or `ZIMAGE_URL`.',
  }),
  // Checkpoints
  checkpoint_missing: row(422, z.object({ path: z.string() }), {
    meaning: 'The folder or a file in it does not exist.',
    advice: 'Check the path, or download the rest of the checkpoint.',
  }),
  checkpoint_damaged: row(422, z.object({ path: z.string() }), {
    meaning: 'A file of the checkpoint is truncated or inconsistent.',
    advice: 'Download that file again.',
  }),
  checkpoint_unsupported: row(422, z.object({ path: z.string() }), {
    meaning: 'The checkpoint is complete, but its architecture or quantization is not supported.',
    advice: 'Use a Z-Image checkpoint in SDNQ uint4 or int8.',
  }),
  lora_unsupported: row(422, z.object({ path: z.string() }), {
    meaning: 'The file is not a LoRA or LoKr for this model: keys of another model, matrices that do not fit, a DoRA.',
    advice: 'Use a LoRA for Z-Image. The message names the first keys that do not fit.',
  }),
  controlnet_unsupported: row(422, z.object({ path: z.string() }), {
    meaning: 'The file is not a ControlNet for this model.',
    advice: 'Use a Z-Image ControlNet of VideoX-Fun: union 1, union 2.1 or one of their lite models.',
  }),
  model_not_installed: row(409, z.object({ modelType: z.string() }), {
    meaning: 'No checkpoint of this `model_type` is installed.',
    advice: 'Name one with `--checkpoint`, or use the other `model_type`.',
  }),
  unknown_model: row(404, none, {
    meaning: 'There is no model with this name, installed or available.',
    advice: 'Take the name from `GET /api/models`, or add its folder or repository with `POST /api/models`.',
  }),
  model_busy: row(409, z.object({ state: z.string() }), {
    meaning: "The model's state does not allow this: a bundled model cannot be removed, a running download cannot be verified.",
    advice: 'The message says what is possible now.',
  }),
  repository_unavailable: row(502, z.object({ repository: z.string() }), {
    meaning: 'The hub does not serve this repository: it does not exist, or it needs a token and accepted terms.',
    advice: 'Check the name. For a gated repository accept the terms on its page and start the program with `HF_TOKEN`.',
  }),
  download_refused: row(502, none, {
    meaning: 'The hub offered something unsafe: a pickle file, a file name outside of its folder, a redirect to an unencrypted or private address.',
    advice: 'Use another repository or mirror. The message names what was refused.',
  }),
  download_failed: row(502, none, {
    meaning: 'The hub could not be reached, the connection broke too often, or a file failed its hash check.',
    advice: 'Check the network, the proxy (`HTTPS_PROXY`) and the mirror (`HF_ENDPOINT`), then resume. Downloaded data is kept.',
  }),
  licence_not_accepted: row(409, z.object({ licences: z.array(z.string()) }), {
    meaning: "The CUDA pack is installed only after NVIDIA's licences are accepted. `licences` has the addresses of their texts.",
    advice: 'Read them, then install with `"accept_licences": true` or `--accept-licences`.',
  }),
  cuda_pack_busy: row(409, z.object({ state: z.string() }), {
    meaning: 'The state of the CUDA pack does not allow this: nothing to pause, nothing to remove, or the engine is using it.',
    advice: 'The message gives the reason. To remove a pack in use, start the server with `--device cpu` first.',
  }),
  cuda_pack_damaged: row(422, z.object({ file: z.string() }), {
    meaning: 'A file of the CUDA pack is missing, was changed, or belongs to another version of ONNX Runtime. The engine does not start with it.',
    advice: 'Remove the pack and install it again.',
  }),
  cuda_pack_unsupported: row(409, none, {
    meaning: 'There is no CUDA pack for this system, or it cannot be unpacked here.',
    advice: 'Linux and Windows on x64 have one. If tar or xz is missing, install it or take the pack from wheels (`--index`).',
  }),
  graph_invalid: row(500, z.object({ graph: z.string(), node: z.string() }), {
    meaning: 'The graph compiled from a checkpoint is invalid and was not used.',
    advice: 'Report it with the message: it is a bug in the program.',
  }),
  // The engine
  engine_crashed: row(500, none, {
    meaning: 'The engine process ended twice during the job.',
    advice: 'Try again. If it keeps happening, use a smaller image; the log has the details.',
  }),
  engine_hung: row(500, none, {
    meaning: 'The engine did not respond for too long and was stopped.',
    advice: 'Try again. Make sure that the machine does not swap.',
  }),
  engine_out_of_memory: row(500, none, {
    meaning: 'There was not enough memory for this image.',
    advice: 'Close other programs, or use a smaller image or a smaller checkpoint.',
  }),
  engine_unavailable: row(500, none, {
    meaning: 'The engine failed too often in a short time and is not restarted at once.',
    advice: 'Read the log for the cause, then try again in five minutes or restart the program.',
  }),
  /** `reason` is what ONNX Runtime said, without the graph that it said it of. */
  engine_failed: row(500, z.object({ reason: z.string().exactOptional() }), {
    meaning: 'ONNX Runtime refused to run the model.',
    advice: 'The message has its words. Report it with the log.',
  }),
  device_unavailable: row(500, z.object({ device: z.string() }), {
    meaning: 'The requested device cannot be used here. The message says why its probe failed.',
    advice: 'Leave `--device` out, or name one that the message allows.',
  }),
  latents_not_finite: row(500, z.object({ step: z.number().int() }), {
    meaning: 'Values overflowed at this step, also in the safer precision.',
    advice: 'Try `--accuracy exact` or another seed.',
  }),
  latents_collapsed: row(500, z.object({ step: z.number().int() }), {
    meaning: 'The image lost all content at this step.',
    advice: 'Try `--accuracy exact`, another seed or less guidance.',
  }),
  picture_not_finite: row(500, none, {
    meaning: 'The decoded image contains NaN or infinite values.',
    advice: 'Try `--accuracy exact` or another seed.',
  }),
  picture_flat: row(500, none, {
    meaning: 'The image has one single colour, so it was not kept.',
    advice: 'Try `--accuracy exact`, another seed or another prompt.',
  }),
  cancelled: row(500, none, {
    meaning: 'The work was cancelled.',
    advice: 'Nothing. Ask again if you want the image after all.',
    message: () => 'The work was cancelled.',
  }),
  internal: row(500, none, {
    meaning: 'The program made a mistake. The log has the details; they are not sent to clients.',
    advice: 'Report it with the lines of the log around that time.',
    message: () => 'The server failed at this request. The log has the details.',
  }),
} as const;

export type ErrorCode = keyof typeof errorTable;
export type ErrorData<C extends ErrorCode> = z.infer<(typeof errorTable)[C]['data']>;
type CodeWithMessage = { [C in ErrorCode]: (typeof errorTable)[C] extends { message: unknown } ? C : never }[ErrorCode];

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

/** An error with the message of its row. */
export function appError<C extends CodeWithMessage>(code: C, data: ErrorData<C>, options?: { cause?: unknown }): AppError<C> {
  // a union of functions takes the intersection of their arguments; this row's takes this code's data
  const message: (data: never) => string = errorTable[code].message;
  return new AppError(code, message(data as never), data, options);
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
  return new AppError(wire.code, wire.message, errorTable[wire.code].data.parse(wire.data) as ErrorData<ErrorCode>);
}
