import { isUtf8 } from 'node:buffer';
import { AppError } from '#shared/protocol/errors.ts';

/** Fields whose parts are files, also without a filename or with another media type than that of an image: what they are, their bytes say. */
const fileFields: ReadonlySet<string> = new Set(['image', 'mask']);
const MAX_PARTS = 100;
const CRLF = '\r\n';

/**
 * The fields of a `multipart/form-data` body, in any order: texts, and lists of files for `image` and `mask`. `name[]` is the same field as `name`.
 * Throws `bad_message` for a body that is not whole. Source: https://www.rfc-editor.org/rfc/rfc7578
 */
export function parseForm(body: Buffer, contentType: string): Record<string, string | Buffer[]> {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw broken('its content type has no boundary');
  const delimiter = Buffer.from(`${CRLF}--${boundary}`);
  const fields: Record<string, string | Buffer[]> = Object.create(null);
  // the first delimiter may stand at the very start, without a line end before it
  let at = body.subarray(0, delimiter.length - CRLF.length).equals(delimiter.subarray(CRLF.length)) ? -CRLF.length : body.indexOf(delimiter);
  for (let parts = 0; ; parts++) {
    if (at === -1) throw broken('its last part is not whole');
    const start = at + delimiter.length;
    if (body.toString('latin1', start, start + 2) === '--') return fields;
    if (parts === MAX_PARTS) throw broken(`it has more than ${MAX_PARTS} parts`);
    const next = body.indexOf(delimiter, start);
    const headEnd = body.indexOf(CRLF + CRLF, start);
    if (next === -1 || headEnd === -1 || headEnd > next) throw broken('its last part is not whole');
    const name = partName(body.toString('utf8', start, headEnd));
    const content = body.subarray(headEnd + 2 * CRLF.length, next);
    const known = fields[name];
    if (fileFields.has(name)) fields[name] = [...(Array.isArray(known) ? known : []), content];
    else if (!isUtf8(content)) throw broken(`its field ${name} is not UTF-8`);
    else fields[name] = content.toString('utf8');
    at = next;
  }
}

function partName(head: string): string {
  const [, quoted, plain] = /^content-disposition:\s*form-data\s*;(?:.*;)?\s*name=(?:"([^"\r\n]{0,256})"|([^\s;]{1,256}))/im.exec(head) ?? [];
  const name = quoted ?? plain;
  if (name === undefined) throw broken('a part has no name');
  return name.replace(/\[\d*\]$/, '');
}

function broken(what: string): AppError {
  return new AppError('bad_message', `The form cannot be read: ${what}.`, {});
}
