import { connect } from 'node:net';
import { z } from 'zod';
import { Dice } from './dice.ts';
import type { Fuzzed } from './messages.ts';
import { anyValue, type Json, mutateText, mutateTree } from './mutate.ts';

const REQUESTS_AT_ONCE = 50;
/** After this silence the request is ended: the server may wait for the rest of a damaged request, up to 30 seconds. */
const QUIET_MS = 2000;
/** Longer than the server waits for the rest of a request. */
const ANSWER_MS = 40_000;

const jsonSchemaSchema = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  required: z.array(z.string()).optional(),
  get properties() {
    return z.record(z.string(), jsonSchemaSchema).optional();
  },
  get oneOf() {
    return z.array(jsonSchemaSchema).optional();
  },
  get anyOf() {
    return z.array(jsonSchemaSchema).optional();
  },
});
type JsonSchema = z.infer<typeof jsonSchemaSchema>;

const openApiSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ requestBody: z.object({ content: z.record(z.string(), z.object({ schema: jsonSchemaSchema })) }).optional() })),
  ),
});

interface Call {
  method: string;
  path: string;
  takesForm: boolean;
  /** Null if it takes no JSON. */
  bodySchema: JsonSchema | null;
}

/** Sends `count` requests, each a call of the server's own OpenAPI document with something wrong in its path, query, headers, body or framing. */
export async function fuzzHttp(port: number, count: number, seed: number): Promise<Fuzzed> {
  const fuzzed: Fuzzed = { sent: 0, valid: 0, answers: new Map(), findings: [] };
  const calls = await describedCalls(port);
  const sender = async (): Promise<void> => {
    while (fuzzed.sent < count) await fuzzRequest(port, calls, fuzzed.sent++, seed, fuzzed);
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, sender));
  return fuzzed;
}

async function describedCalls(port: number): Promise<[Call, ...Call[]]> {
  const document = openApiSchema.parse(await (await fetch(`http://127.0.0.1:${port}/docs/openapi.json`)).json());
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]): Call => {
      return {
        method: method.toUpperCase(),
        path,
        takesForm: requestBody?.content['multipart/form-data'] !== undefined,
        bodySchema: requestBody?.content['application/json']?.schema ?? null,
      };
    }),
  );
  return [{ method: 'GET', path: '/', takesForm: false, bodySchema: null }, ...calls];
}

async function fuzzRequest(port: number, calls: readonly [Call, ...Call[]], number: number, seed: number, fuzzed: Fuzzed): Promise<void> {
  const dice = new Dice(seed ^ (0xa7_0000 + number));
  const { bytes, isWhole } = makeRequest(dice, dice.pick(calls));
  // hung up on after a while, a damaged request that is whole all the same gets no answer: then it is sent again and waited for
  const answer = (await send(port, bytes, isWhole)) || (await send(port, bytes, true));
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? Number.NaN);
  const kind = Number.isNaN(status) ? 'none' : String(status);
  fuzzed.answers.set(kind, (fuzzed.answers.get(kind) ?? 0) + 1);
  if (status >= 200 && status < 300) fuzzed.valid++;
  if (Number.isNaN(status) || status >= 500)
    fuzzed.findings.push(`${answer.slice(0, 300)} to request ${number}: ${JSON.stringify(bytes.toString('latin1').slice(0, 400))}`);
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'get', 'FOO', ''] as const;
const QUERY_NAMES = ['w', 'limit', 'before', 'status', 'since', 'client_id', 'token', 'query', '__proto__'] as const;
const SEGMENTS = [
  '..',
  '%2e%2e',
  '.',
  '%00',
  '%',
  '%zz',
  '%c0%ae',
  'a'.repeat(2000),
  '猫',
  '0'.repeat(64),
  '-1',
  'x',
  ' ',
  '\\',
  '?',
  '#',
  '%2f',
  '20260204-cat-abc12345.png',
] as const;
const HEADERS = [
  'Host: evil.example',
  'Host: ',
  'Origin: null',
  'Origin: http://evil.example',
  'Content-Type: text/plain',
  'Content-Type: application/json; charset=utf-16',
  'Content-Type: multipart/form-data',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Expect: 100-continue',
  'Range: bytes=0-',
  'Range: bytes=-0,5-2,99999999999-',
  'If-None-Match: "x"',
  'Cookie: zimage_key=%00',
  'Authorization: Bearer x',
  'X-Forwarded-For: 10.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Accept: text/html',
  'Sec-Fetch-Site: cross-site',
  'X: \u0000',
  ': x',
  'No colon',
] as const;

/** One white pixel; as text it stays what it is only in latin1, which is how damaged files come too. */
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVQI12P4DwABAQEAG7buVgAAAABJRU5ErkJggg==', 'base64').toString('latin1');

/** `isWhole` where nothing is wrong with the framing: such a request may not be hung up on, however long its answer takes. */
function makeRequest(dice: Dice, { method, path, takesForm, bodySchema }: Call): { bytes: Buffer; isWhole: boolean } {
  const segments = path.split('/').map((segment) => (segment.startsWith('{') || dice.chance(0.1) ? encodeIfLucky(dice, dice.pick(SEGMENTS)) : segment));
  const query = dice.chance(0.4) ? `?${dice.pick(QUERY_NAMES)}=${encodeIfLucky(dice, dice.pick(SEGMENTS))}` : '';
  const isForm = takesForm && dice.chance(0.7);
  const text = isForm ? makeForm(dice) : bodySchema === null || dice.chance(0.1) ? JSON.stringify(anyValue(dice)) : makeBody(dice, bodySchema);
  const hasBody = method !== 'GET' && method !== 'HEAD' ? dice.chance(0.9) : dice.chance(0.1);
  const body = hasBody ? (dice.chance(0.2) ? mutateText(dice, text) : Buffer.from(text)) : Buffer.alloc(0);
  const headers = [
    'Host: localhost',
    'Connection: close',
    ...(hasBody
      ? [isForm ? `Content-Type: multipart/form-data; boundary=${BOUNDARY}` : 'Content-Type: application/json', `Content-Length: ${body.length}`]
      : []),
  ];
  const added = Array.from({ length: dice.below(3) }, () => dice.pick(HEADERS));
  for (const header of added) headers.splice(dice.below(headers.length + 1), 0, header);
  const verb = dice.chance(0.15) ? dice.pick(METHODS) : method;
  const bytes = Buffer.concat([Buffer.from(`${verb} ${segments.join('/')}${query} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`), body]);
  // a damaged request may still be valid, and probing devices takes seconds
  if (dice.chance(0.1) && !path.startsWith('/api/devices')) return { bytes: mutateText(dice, bytes.toString('latin1')), isWhole: false };
  return { bytes, isWhole: !added.some((header) => /^(content-length|transfer-encoding|expect)/i.test(header)) || path.startsWith('/api/devices') };
}

const BOUNDARY = 'fuzz';
const PARTS = ['prompt', 'size', 'n', 'seed', 'image', 'image[]', 'mask', 'strength', 'stream', '__proto__', 'x'] as const;
const CONTENTS = ['a fox', '256x256', '1', '-1', '0.5', 'true', '', '\r\n--fuzz', '\r\n\r\n', PNG] as const;

function makeForm(dice: Dice): string {
  const parts = Array.from({ length: dice.below(6) }, () => {
    const filename = dice.chance(0.3) ? '; filename="x.png"' : '';
    return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${dice.pick(PARTS)}"${filename}\r\n\r\n${dice.pick(CONTENTS)}\r\n`;
  });
  return `${parts.join('')}--${BOUNDARY}--\r\n`;
}

function makeBody(dice: Dice, schema: JsonSchema): string {
  const body = sampleOf(dice, schema);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return JSON.stringify(body);
  for (let i = dice.below(3); i > 0; i--) mutateTree(dice, body);
  return JSON.stringify(body);
}

/** A value that more or less fits the schema. Strings fit no pattern, so that nothing is fetched from the network. */
function sampleOf(dice: Dice, schema: JsonSchema): Json {
  const [first, ...more] = schema.oneOf ?? schema.anyOf ?? [];
  if (first !== undefined) return sampleOf(dice, dice.pick([first, ...more]));
  const { properties = {}, required = [] } = schema;
  switch (Array.isArray(schema.type) ? schema.type[dice.below(schema.type.length)] : schema.type) {
    case 'object': {
      const present = Object.entries(properties).filter(([key]) => required.includes(key) || dice.chance(0.5));
      return Object.fromEntries(present.map(([key, inner]) => [key, sampleOf(dice, inner)]));
    }
    case 'string':
      return schema.enum === undefined ? `sample ${dice.below(100)}` : (schema.enum[dice.below(schema.enum.length)] ?? null);
    case 'boolean':
      return dice.chance(0.5);
    case 'null':
      return null;
    default:
      return Math.ceil(schema.minimum ?? 0) + dice.below(10);
  }
}

function encodeIfLucky(dice: Dice, text: string): string {
  return dice.chance(0.5) ? encodeURIComponent(text) : text;
}

/** What came back until the server closed, as latin1, without a leading `100 Continue`. */
function send(port: number, request: Buffer, isWhole: boolean): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const parts: Buffer[] = [];
  const end = (): void =>
    resolve(
      Buffer.concat(parts)
        .toString('latin1')
        .replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, ''),
    );
  const quiet = setTimeout(() => isWhole || socket.end(), QUIET_MS);
  const deadline = setTimeout(end, ANSWER_MS);
  socket.on('error', () => {});
  socket.on('data', (chunk) => parts.push(chunk));
  socket.on('end', end);
  socket.on('close', end);
  socket.write(request);
  return promise.finally(() => {
    clearTimeout(quiet);
    clearTimeout(deadline);
    socket.destroy();
  });
}
