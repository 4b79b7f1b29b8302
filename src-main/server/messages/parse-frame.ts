import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type ClientMessage, clientMessageSchema, clientMessageTypes, type RequestId, requestIdSchema } from '#shared/protocol/messages.ts';
import { rememberSource, sourceOf } from '../json-source.ts';
import { paramError } from '../param-error.ts';
import { exactRequestId } from './exact-request-id.ts';

/** A message, or the reason why the frame is not one. `requestId` is in both, if it could be read. */
export type Frame = { message: ClientMessage; requestId: RequestId } | { error: AppError; requestId: RequestId };

/** Reads one WebSocket frame, whose UTF-8 the socket has checked. Never throws. */
export function parseFrame(data: Buffer, isBinary: boolean): Frame {
  if (isBinary) return refused('bad_message', 'The frame is binary; messages are text frames with one JSON object.');
  const text = data.toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    return refused('bad_json', `The frame is not JSON: ${quoteValue(text.slice(0, 100))}.`, cause);
  }
  if (!isRecord(json)) return refused('bad_message', `The frame is ${quoteValue(json)}; it must be one object with "type".`);
  rememberSource(json, text);
  // the original's clients send null for no id
  if (json['request_id'] === null) delete json['request_id'];
  let requestId: RequestId;
  try {
    requestId = exactRequestId(
      requestIdSchema.safeParse(json['request_id']).data,
      typeof json['request_id'] === 'number' ? sourceOf(json)(['request_id']) : undefined,
    );
  } catch (thrown) {
    if (thrown instanceof AppError) return { error: thrown, requestId: undefined };
    throw thrown;
  }
  if (json['type'] === undefined) {
    return { error: new AppError('missing_param', `type is missing; it must be ${TYPES}.`, { field: 'type' }), requestId };
  }
  const parsed = clientMessageSchema.safeParse(json);
  if (parsed.success) return { message: { ...parsed.data, request_id: requestId }, requestId };
  const isUnknownType = parsed.error.issues.some((issue) => issue.code === 'invalid_union' && issue.path[0] === 'type');
  if (isUnknownType) return { error: new AppError('unknown_message_type', `type is ${quoteValue(json['type'])}; it must be ${TYPES}.`, {}), requestId };
  return { error: paramError(clientMessageSchema, json, parsed.error), requestId };
}

const TYPES = clientMessageTypes.map((type) => JSON.stringify(type)).join(', ');

function refused(code: 'bad_message' | 'bad_json', message: string, cause?: unknown): Frame {
  return { error: new AppError(code, message, {}, { cause }), requestId: undefined };
}
