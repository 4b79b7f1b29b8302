import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { appError } from '#shared/protocol/errors.ts';

/** First and last byte, both included. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Bytes to answer with, from a file or from memory. */
export interface Content {
  type: string;
  sizeBytes: number;
  modifiedMs: number;
  read(range: ByteRange): Readable;
}

/** Many small ranges cost more than the file; a request for more gets all of it. Source: RFC 9110, section 14.2. */
const MAX_RANGES = 8;
const BOUNDARY = 'zimage-byteranges';

/** Answers GET and HEAD with a file, as `sendContent`. */
export async function sendFile(request: FastifyRequest, reply: FastifyReply, path: string, type: string): Promise<FastifyReply> {
  const { size, mtimeMs } = await stat(path);
  return sendContent(request, reply, { type, sizeBytes: size, modifiedMs: mtimeMs, read: (range) => createReadStream(path, range) });
}

/**
 * Answers GET and HEAD with `content`: conditions, then ranges, in the order of RFC 9110, section 13.2.2.
 * Throws `precondition_failed`, `range_not_satisfiable`.
 */
export function sendContent(request: FastifyRequest, reply: FastifyReply, content: Content): FastifyReply {
  const { type, sizeBytes } = content;
  const modifiedS = Math.floor(content.modifiedMs / 1000);
  const etag = `"${sizeBytes.toString(16)}-${Math.round(content.modifiedMs).toString(16)}"`;
  reply.headers({ etag, 'last-modified': new Date(modifiedS * 1000).toUTCString(), 'accept-ranges': 'bytes' });
  if (failsPrecondition(request, etag, modifiedS)) throw appError('precondition_failed', {});
  if (isNotModified(request, etag, modifiedS)) return reply.code(304).send();

  const ranges = request.method === 'GET' && isRangeWanted(request, etag, modifiedS) ? parseRanges(request.headers.range, sizeBytes) : null;
  if (ranges?.length === 0) {
    reply.header('content-range', `bytes */${sizeBytes}`);
    throw appError('range_not_satisfiable', {});
  }
  const [range, ...others] = ranges ?? [];
  if (range === undefined) {
    reply.type(type).header('content-length', sizeBytes);
    return reply.send(request.method === 'HEAD' || sizeBytes === 0 ? Readable.from([]) : content.read({ start: 0, end: sizeBytes - 1 }));
  }
  reply.code(206);
  if (others.length > 0) return reply.type(`multipart/byteranges; boundary=${BOUNDARY}`).send(Readable.from(multipart(content, [range, ...others])));
  reply.type(type).headers({ 'content-range': contentRange(range, sizeBytes), 'content-length': range.end - range.start + 1 });
  return reply.send(content.read(range));
}

async function* multipart(content: Content, ranges: readonly ByteRange[]): AsyncGenerator<Uint8Array | string> {
  for (const range of ranges) {
    yield `\r\n--${BOUNDARY}\r\nContent-Type: ${content.type}\r\nContent-Range: ${contentRange(range, content.sizeBytes)}\r\n\r\n`;
    yield* content.read(range);
  }
  yield `\r\n--${BOUNDARY}--\r\n`;
}

function contentRange({ start, end }: ByteRange, sizeBytes: number): string {
  return `bytes ${start}-${end}/${sizeBytes}`;
}

function failsPrecondition({ headers }: FastifyRequest, etag: string, modifiedS: number): boolean {
  const wanted = headers['if-match'];
  if (wanted !== undefined) return wanted.trim() !== '*' && !entityTags(wanted).includes(etag);
  const unmodifiedSince = seconds(headers['if-unmodified-since']);
  return unmodifiedSince !== null && modifiedS > unmodifiedSince;
}

function isNotModified({ headers }: FastifyRequest, etag: string, modifiedS: number): boolean {
  const known = headers['if-none-match'];
  if (known !== undefined) return known.trim() === '*' || entityTags(known).some((tag) => tag.replace(/^W\//, '') === etag);
  const modifiedSince = seconds(headers['if-modified-since']);
  return modifiedSince !== null && modifiedS <= modifiedSince;
}

/** A range counts unless `If-Range` names another version. A weak tag never matches here. Source: RFC 9110, section 13.1.5. */
function isRangeWanted({ headers }: FastifyRequest, etag: string, modifiedS: number): boolean {
  const version = headers['if-range'];
  if (typeof version !== 'string') return true;
  return version.includes('"') ? version.trim() === etag : seconds(version) === modifiedS;
}

function entityTags(list: string): string[] {
  return list.match(/(?:W\/)?"[^"]*"/g) ?? [];
}

function seconds(date: string | undefined): number | null {
  const milliseconds = Date.parse(date ?? '');
  return Number.isNaN(milliseconds) ? null : Math.floor(milliseconds / 1000);
}

/** The ranges inside the content, none where all are outside; null where the header is to be ignored. Source: RFC 9110, section 14.1.2. */
function parseRanges(header: string | undefined, sizeBytes: number): ByteRange[] | null {
  const list = /^bytes=(.*)$/i.exec(header?.trim() ?? '')?.[1];
  if (list === undefined) return null;
  const ranges: ByteRange[] = [];
  for (const part of list.split(',')) {
    const [, first = '', last = ''] = /^\s*(\d*)-(\d*)\s*$/.exec(part) ?? [];
    if (first === '' && last === '') return null;
    if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
    const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
    const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
    if (start <= end) ranges.push({ start, end });
  }
  const sorted = ranges.toSorted((one, other) => one.start - other.start);
  const overlap = sorted.some(({ start }, i) => start <= (sorted[i - 1]?.end ?? -1));
  return overlap || ranges.length > MAX_RANGES ? null : ranges;
}
