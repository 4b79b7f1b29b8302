import { lines } from './raw-http.ts';

/**
 * Bytes on a new connection that are not a request, or are an ambiguous one. Each is answered with the listed statuses in order. Then the connection is
 * closed, so that the bytes after it are not read as a request.
 * Sources: RFC 9112 (lines, Host 3.2, message body 6.1 to 6.3, chunks 7.1), RFC 9110 (methods, Expect 10.1.1).
 */
export type FramingRow = [name: string, bytes: string | Buffer, statuses: number[], code?: string];

const host = 'Host: localhost';
const json = 'Content-Type: application/json';
const end = 'Connection: close';
const pause = '{"action":"pause"}';
const get = 'GET /api/health HTTP/1.1';
const post = 'POST /api/queue HTTP/1.1';
const hidden = lines(['GET /api/info HTTP/1.1', host]);
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
/** A chunked request with `chunks` as its body. */
const chunked = (chunks: string, ...headers: string[]): string => lines([post, host, json, 'Transfer-Encoding: chunked', end, ...headers], chunks);
/** A request with this `Content-Length`. */
const sized = (length: string, body = pause): string => lines([post, host, json, `Content-Length: ${length}`, end], body);

export const framingRows: FramingRow[] = [
  ['nothing but a line end', '\r\n\r\n\r\n\0', [400], 'bad_message'],
  ['bytes that are not text', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0xfc, 0x03, 0x03]), [400], 'bad_message'],
  ['a TLS greeting', Buffer.from('16030100c8010000c40303', 'hex'), [400], 'bad_message'],
  ['an SSH greeting', 'SSH-2.0-OpenSSH_9.6\r\n', [400], 'bad_message'],
  ['a SOCKS5 greeting', Buffer.from([5, 1, 0]), [400], 'bad_message'],
  ['a line of Redis', '*1\r\n$4\r\nPING\r\n', [400], 'bad_message'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400], 'bad_message'],
  ['a method alone', 'GET\r\n\r\n', [400], 'bad_message'],
  ['HTTP/0.9', 'GET /api/health\r\n\r\n', [400], 'bad_message'],
  ['an unknown method', lines(['FETCH /api/health HTTP/1.1', host]), [400], 'bad_message'],
  ['a method in small letters', lines(['get /api/health HTTP/1.1', host]), [400], 'bad_message'],
  ['a method with a space before it', lines([' GET /api/health HTTP/1.1', host]), [400], 'bad_message'],
  ['a method with a NUL', lines(['GE\0T /api/health HTTP/1.1', host]), [400], 'bad_message'],
  ['no version', lines(['GET /api/health ', host]), [400], 'bad_message'],
  ['HTTP/2.0 in HTTP/1 lines', lines(['GET /api/health HTTP/2.0', host]), [400], 'bad_message'],
  ['HTTP/1.2', lines(['GET /api/health HTTP/1.2', host]), [400], 'bad_message'],
  ['HTTP/1.10', lines(['GET /api/health HTTP/1.10', host]), [400], 'bad_message'],
  ['HTTP/9.9', lines(['GET /api/health HTTP/9.9', host]), [400], 'bad_message'],
  ['http/1.1 in small letters', lines(['GET /api/health http/1.1', host]), [400], 'bad_message'],
  ['a word behind the version', lines(['GET /api/health HTTP/1.1 yes', host]), [400], 'bad_message'],
  ['a space in the address', lines(['GET /api/ health HTTP/1.1', host]), [400], 'bad_message'],
  ['a tab in the address', lines(['GET /api/\thealth HTTP/1.1', host]), [400], 'bad_message'],
  ['a NUL in the address', lines(['GET /api/\0health HTTP/1.1', host]), [400], 'bad_message'],
  ['no address', lines(['GET  HTTP/1.1', host]), [400], 'bad_message'],
  ['an address without its slash', lines(['GET api/health HTTP/1.1', host]), [400], 'bad_message'],
  ['a whole URL, as for a proxy', lines(['GET http://localhost/api/health HTTP/1.1', host, end]), [400], 'bad_message'],
  ['a whole URL of another host', lines(['GET http://evil.example/ HTTP/1.1', host, end]), [400], 'bad_message'],
  ['a whole URL of another protocol', lines(['GET ftp://localhost/api/health HTTP/1.1', host, end]), [400], 'bad_message'],
  ['CONNECT, as for a proxy', lines(['CONNECT evil.example:443 HTTP/1.1', 'Host: evil.example:443']), [400], 'bad_message'],
  ['OPTIONS of the whole server, which is allowed', lines(['OPTIONS * HTTP/1.1', host, end]), [204]],
  ['an address of 20,000 letters', lines([`GET /${'a'.repeat(20_000)} HTTP/1.1`, host]), [431], 'headers_too_large'],

  ['no Host', lines([get, end]), [400], 'bad_message'],
  ['no Host in HTTP/1.0', lines(['GET /api/health HTTP/1.0']), [400], 'bad_message'],
  ['two Hosts', lines([get, host, host, end]), [400], 'bad_message'],
  ['two Hosts that differ', lines([get, host, 'Host: evil.example', end]), [400], 'bad_message'],
  ['an empty Host', lines([get, 'Host:', end]), [403], 'forbidden_host'],
  ['a foreign Host', lines([get, 'Host: evil.example', end]), [403], 'forbidden_host'],
  ['a Host with a user', lines([get, 'Host: user@localhost', end]), [403], 'forbidden_host'],
  ['a Host with a path', lines([get, 'Host: localhost/x', end]), [403], 'forbidden_host'],
  ['a Host with two ports', lines([get, 'Host: localhost:1:2', end]), [403], 'forbidden_host'],
  ['a Host with a port of letters', lines([get, 'Host: localhost:http', end]), [403], 'forbidden_host'],
  ['a Host in a list', lines([get, 'Host: localhost, evil.example', end]), [403], 'forbidden_host'],
  ['a Host that ends in a dot, which is the same name', lines([get, 'Host: localhost.', end]), [200]],
  ['a Host as one number', lines([get, 'Host: 2130706433', end]), [403], 'forbidden_host'],
  ['a Host in octal', lines([get, 'Host: 0177.0.0.1', end]), [403], 'forbidden_host'],
  ['a Host in Cyrillic letters', lines([get, 'Host: l\xd0\xbecalhost', end]), [403], 'forbidden_host'],
  ['X-Forwarded-Host does not replace Host', lines([get, 'Host: evil.example', 'X-Forwarded-Host: localhost', end]), [403], 'forbidden_host'],
  ['a Host behind 600 headers', lines([get, ...Array.from({ length: 600 }, () => 'a: b'), host, end]), [200]],
  [
    'X-Forwarded-For behind 600 headers',
    lines([get, host, ...Array.from({ length: 600 }, () => 'a: b'), 'X-Forwarded-For: 10.0.0.8', end]),
    [401],
    'access_key_required',
  ],

  ['a header without a colon', lines([get, host, 'nonsense', end]), [400], 'bad_message'],
  ['a header without a name', lines([get, host, ': x', end]), [400], 'bad_message'],
  ['a space before the colon', lines([get, 'Host : localhost', end]), [400], 'bad_message'],
  ['a space in a header name', lines([get, host, 'X Y: 1', end]), [400], 'bad_message'],
  ['brackets in a header name', lines([get, host, 'X(Y): 1', end]), [400], 'bad_message'],
  ['a letter beyond ASCII in a header name', lines([get, host, 'X-\xe9: 1', end]), [400], 'bad_message'],
  ['a NUL in a header value', lines([get, host, 'X: a\0b', end]), [400], 'bad_message'],
  ['a bare CR in a header value', lines([get, host, 'X: a\rb', end]), [400], 'bad_message'],
  ['a bell in a header value', lines([get, host, 'X: a\x07b', end]), [400], 'bad_message'],
  ['a header before the first line', lines([host, get, end]), [400], 'bad_message'],
  ['a header folded over two lines', lines([get, host, 'X: a\r\n b', end]), [400], 'bad_message'],
  ['a first header that begins with a space', lines([get, ' X: a', host, end]), [400], 'bad_message'],
  ['headers of 17,000 bytes', lines([get, host, `X: ${'x'.repeat(17_000)}`, end]), [431], 'headers_too_large'],
  ['a cookie of 20,000 bytes', lines([get, host, `Cookie: a=${'x'.repeat(20_000)}`, end]), [431], 'headers_too_large'],
  ['5,000 headers', lines([get, host, ...Array.from({ length: 5000 }, (_, i) => `x${i}: 1`), end]), [431], 'headers_too_large'],
  ['a header name of 17,000 letters', lines([get, host, `${'x'.repeat(17_000)}: 1`, end]), [431], 'headers_too_large'],

  ['both lengths, chunks last', lines([post, host, json, 'Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`), [400], 'bad_message'],
  ['both lengths, chunks first', lines([post, host, json, 'Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`), [400], 'bad_message'],
  ['two lengths that differ', lines([post, host, json, 'Content-Length: 18', 'Content-Length: 5'], pause + hidden), [400], 'bad_message'],
  ['two lengths alike', lines([post, host, json, 'Content-Length: 18', 'Content-Length: 18'], pause), [400], 'bad_message'],
  ['two lengths in one header', sized('18, 18'), [400], 'bad_message'],
  ['a negative length', sized('-1'), [400], 'bad_message'],
  ['a length with a plus', sized('+18'), [400], 'bad_message'],
  ['a length in hex', sized('0x12'), [400], 'bad_message'],
  ['a length with a fraction', sized('18.0'), [400], 'bad_message'],
  ['a length with an exponent', sized('1e1'), [400], 'bad_message'],
  ['a length with a space inside', sized('1 8'), [400], 'bad_message'],
  ['a length beyond 64 bits', sized('18446744073709551634'), [400], 'bad_message'],
  ['an empty length', sized(''), [400], 'bad_message'],
  ['a length in words', sized('eighteen'), [400], 'bad_message'],
  ['a length of two gigabytes', sized('2147483648', ''), [413], 'body_too_large'],
  ['a length just over the limit', sized('65537', ''), [413], 'body_too_large'],
  ['the rest after a shorter length is read as a separate request', lines([post, host, json, 'Content-Length: 5'], '12345{}'), [400, 400], 'bad_message'],
  ['chunks that are not the last coding', lines([post, host, json, 'Transfer-Encoding: chunked, identity'], chunk(pause)), [400], 'bad_message'],
  ['a coding that is not chunked', lines([post, host, json, 'Transfer-Encoding: gzip'], pause), [400], 'bad_message'],
  ['a coding misspelt', lines([post, host, json, 'Transfer-Encoding: xchunked'], chunk(pause)), [400], 'bad_message'],
  ['a coding in quotes', lines([post, host, json, 'Transfer-Encoding: "chunked"'], chunk(pause)), [400], 'bad_message'],
  ['a coding behind a vertical tab', lines([post, host, json, 'Transfer-Encoding: \x0bchunked'], chunk(pause)), [400], 'bad_message'],
  ['chunked twice', lines([post, host, json, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunk(pause)), [400], 'bad_message'],
  ['chunked beside identity', lines([post, host, json, 'Transfer-Encoding: identity', 'Transfer-Encoding: cow'], chunk(pause)), [400], 'bad_message'],
  ['chunks in HTTP/1.0', lines(['POST /api/queue HTTP/1.0', host, json, 'Transfer-Encoding: cow'], chunk(pause)), [400], 'bad_message'],
  ['a chunk size of letters', chunked(`zz\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a negative chunk size', chunked(`-12\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a chunk size with 0x', chunked(`0x12\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a chunk size beyond 64 bits', chunked(`fffffffffffffffff\r\n${pause}`), [400], 'bad_message'],
  ['no chunk size', chunked(`\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a chunk longer than its size', chunked(`5\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a chunk without its line end', chunked(`12\r\n${pause}0\r\n\r\n`), [400], 'bad_message'],
  ['a bare LF behind a chunk size', chunked(`12\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a space before a chunk size', chunked(` 12\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a chunk with 20,000 bytes of extension', chunked(`12;${'x'.repeat(20_000)}\r\n${pause}\r\n0\r\n\r\n`), [400], 'bad_message'],
  ['a trailer without a colon', chunked(`${chunk(pause)}0\r\nnonsense\r\n\r\n`), [400], 'bad_message'],
  ['70,000 bytes in chunks', chunked(`${chunk('x'.repeat(70_000))}0\r\n\r\n`), [413], 'body_too_large'],
  ['a request behind Connection: close', lines([get, host, end]) + hidden, [200]],
  ['nonsense behind a good request', `${lines([get, host])}nonsense\r\n\r\n`, [200, 400], 'bad_message'],
  ['an expectation that cannot be met', lines([post, host, json, 'Expect: 200-ok', 'Content-Length: 18', end], pause.replace('pause', 'pausx')), [417]],
  ['an upgrade of an unknown path', lines(['GET /nowhere HTTP/1.1', host, 'Connection: Upgrade, close', 'Upgrade: websocket']), [404], 'not_found'],
  [
    'an upgrade to HTTP/2, which is ignored',
    lines([get, host, 'Connection: Upgrade, HTTP2-Settings, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']),
    [200],
  ],
];
