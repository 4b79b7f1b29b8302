import { type AppError, type ErrorCode, errorTable } from '#shared/protocol/errors.ts';
import type { HttpError } from '#shared/protocol/http.ts';

/** An error as one door's clients read it. */
export interface DoorError {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** The error in the shape of the door that `path` belongs to; null outside of the doors. Applies to every error, wherever it is thrown. */
export function doorError(error: AppError, path: string, body: HttpError): DoorError | null {
  if (/^\/v1(\/|$)/.test(path)) return openAiError(error, body);
  if (/^\/(sdapi|controlnet|queue\/status)(\/|$)/.test(path)) return a1111Error(error, body);
  return null;
}

const types: Readonly<Record<number, string>> = { 401: 'authentication_error', 403: 'permission_error', 404: 'not_found_error', 429: 'rate_limit_error' };
/** A full queue is the client's rate to these clients, which wait and try again. Somebody's cancellation is no fault of the server. */
const statuses: Partial<Record<ErrorCode, number>> = { queue_full: 429, too_many_uploads: 429, cancelled: 409 };
const paramCodes: readonly ErrorCode[] = ['bad_param', 'missing_param', 'unknown_param'];

function statusOf({ code }: AppError): number {
  return statuses[code] ?? errorTable[code].status;
}

/** `error` must be an object: some clients fail to read a string. Source: https://platform.openai.com/docs/guides/error-codes */
function openAiError(error: AppError, { field, message, code }: HttpError): DoorError {
  const status = statusOf(error);
  const mayHelp = 'retryAfterMs' in error.data || (status === 409 && error.code !== 'cancelled');
  return {
    status,
    // the SDKs repeat 408, 409, 429 and everything from 500 on unless this header says no
    headers: { 'x-should-retry': String(mayHelp) },
    body: { error: { message, type: types[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error'), param: field ?? null, code } },
  };
}

function a1111Error(error: AppError, { field, message, code }: HttpError): DoorError {
  if (paramCodes.includes(error.code)) return { status: 422, headers: {}, body: { detail: [{ loc: ['body', field ?? ''], msg: message, type: code }] } };
  const headers: Record<string, string> = error.code === 'access_key_required' ? { 'www-authenticate': 'Basic realm="Z-Image-Turbo Studio"' } : {};
  return { status: statusOf(error), headers, body: { error: code, detail: message, body: '', errors: message } };
}
