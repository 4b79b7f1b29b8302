import { isUtf8 } from 'node:buffer';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type ClientMessage, clientMessageSchema, type RequestId, requestIdSchema } from '#shared/protocol/messages.ts';
import { paramError } from '../param-error.ts';

/** A frame as the server takes it: a message, or why it is none. `requestId` is there in both where one can be read. */
export type Frame = { message: ClientMessage; requestId: RequestId } | { error: AppError; requestId: RequestId };

/** Reads one WebSocket frame. Never throws. */
export function parseFrame(data: Buffer, isBinary: boolean): Frame {
  if (isBinary) return refused('bad_message', 'A binary frame came; messages are text frames that hold one JSON object.');
  // the socket leaves this check to us: it could only answer by closing
  if (!isUtf8(data)) return refused('bad_message', 'The frame is not UTF-8.');
  let json: unknown;
  try {
    json = JSON.parse(data.toString('utf8'));
  } catch (cause) {
    return refused('bad_json', `The frame is not JSON: ${quoteValue(data.toString('utf8', 0, 100))}.`, cause);
  }
  if (!isRecord(json)) return refused('bad_message', `The frame holds ${quoteValue(json)}; it must hold one object with "type".`);
  // absent and null say the same to the clients of the original
  if (json['request_id'] === null) delete json['request_id'];
  const requestId = requestIdSchema.safeParse(json['request_id']).data;
  if (json['type'] === undefined) {
    return { error: new AppError('missing_param', `type is missing; it must be ${TYPES}.`, { field: 'type' }), requestId };
  }
  const parsed = clientMessageSchema.safeParse(json);
  if (parsed.success) return { message: parsed.data, requestId };
  const isUnknownType = parsed.error.issues.some((issue) => issue.code === 'invalid_union' && issue.path[0] === 'type');
  if (isUnknownType) return { error: new AppError('unknown_message_type', `type is ${quoteValue(json['type'])}; it must be ${TYPES}.`, {}), requestId };
  return { error: paramError(clientMessageSchema, json, parsed.error), requestId };
}

const TYPES = clientMessageSchema.options.map((option) => JSON.stringify(option.shape.type.value)).join(', ');

function refused(code: 'bad_message' | 'bad_json', sentence: string, cause?: unknown): Frame {
  return { error: new AppError(code, sentence, {}, { cause }), requestId: undefined };
}
