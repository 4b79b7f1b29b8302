import { AppError } from '#shared/protocol/errors.ts';
import type { RequestId, ServerMessage } from '#shared/protocol/messages.ts';

/**
 * Request ids come back as they were sent, also as numbers that a double does not hold to the digit: 64-bit counters, `1.0`. Such a number travels
 * through the program as a string with this mark, which the socket takes off again.
 */
const MARK = '\0number:';
const MAX_LENGTH = 256;
const markedId = new RegExp(`"request_id":"\\\\u0000${MARK.slice(1)}([^"]+)"`);

/** @param source The text of `id` in its frame. Throws `bad_param` for an id that could not be given back. */
export function exactRequestId(id: RequestId, source: string | undefined): RequestId {
  if (typeof id === 'string' && id.startsWith(MARK)) throw notKept('request_id begins with a control character that is reserved');
  if (typeof id !== 'number' || source === undefined || String(id) === source) return id;
  if (source.length > MAX_LENGTH) throw notKept(`request_id has ${source.length} digits`);
  return MARK + source;
}

/** The frame of a message, its request id as it was sent. */
export function serialize(message: ServerMessage): string {
  const text = JSON.stringify(message);
  const id = 'request_id' in message ? message.request_id : undefined;
  return typeof id === 'string' && id.startsWith(MARK) ? text.replace(markedId, '"request_id":$1') : text;
}

function notKept(what: string): AppError {
  return new AppError('bad_param', `${what}; it must be a string or a number of at most ${MAX_LENGTH} characters.`, { field: 'request_id' });
}
