/**
 * Handshakes that must not become a WebSocket: the headers, and the answer instead of the 101.
 * Sources: RFC 6455 section 4.2, `docs/protocol.md`, `docs/errors.md`.
 */
export type HandshakeRow = [name: string, query: string, headers: string[], status: number, code?: string];

const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
const version = 'Sec-WebSocket-Version: 13';
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const good = [...upgrade, version, key];
const local = 'Host: localhost';

export const handshakeRows: HandshakeRow[] = [
  ['no key', '', [local, ...upgrade, version], 400, 'bad_message'],
  ['a key that is too short', '', [local, ...upgrade, version, 'Sec-WebSocket-Key: abc'], 400, 'bad_message'],
  ['a key of 15 bytes', '', [local, ...upgrade, version, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j'], 400, 'bad_message'],
  ['a key that is not base64', '', [local, ...upgrade, version, 'Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=='], 400, 'bad_message'],
  ['no version', '', [local, ...upgrade, key], 426, 'upgrade_required'],
  ['version 8 of the drafts', '', [local, ...upgrade, key, 'Sec-WebSocket-Version: 0'], 426, 'upgrade_required'],
  ['version 12', '', [local, ...upgrade, key, 'Sec-WebSocket-Version: 12'], 426, 'upgrade_required'],
  ['an upgrade to something else', '', [local, 'Connection: Upgrade', 'Upgrade: tcp', version, key], 426, 'upgrade_required'],
  ['no Upgrade header', '', [local, 'Connection: close', version, key], 426, 'upgrade_required'],
  ['an empty client_id', '?client_id=', [local, ...good], 400, 'bad_client_id'],
  ['a client_id of 129 letters', `?client_id=${'x'.repeat(129)}`, [local, ...good], 400, 'bad_client_id'],
  ['a client_id with a NUL', '?client_id=a%00', [local, ...good], 400, 'bad_client_id'],
  ['a client_id with a line end', '?client_id=a%0d%0aSet-Cookie:x', [local, ...good], 400, 'bad_client_id'],
  ['a client_id with a line separator', '?client_id=a%e2%80%a8b', [local, ...good], 400, 'bad_client_id'],
  ['a client_id with an escape of the terminal', '?client_id=a%1b%5b31m', [local, ...good], 400, 'bad_client_id'],
  ['a client_id twice', '?client_id=a&client_id=b', [local, ...good], 400, 'bad_client_id'],
  ['a since in words', '?client_id=a&since=x', [local, ...good], 400, 'bad_param'],
  ['a negative since', '?client_id=a&since=-1', [local, ...good], 400, 'bad_param'],
  ['half a since', '?client_id=a&since=1.5', [local, ...good], 400, 'bad_param'],
  ['an empty since', '?client_id=a&since=', [local, ...good], 400, 'bad_param'],
  ['a since of 40 digits', `?client_id=a&since=${'9'.repeat(40)}`, [local, ...good], 400, 'bad_param'],
  ['a foreign Host', '', ['Host: evil.example', ...good], 403, 'forbidden_host'],
  ['no Host', '', [...good], 400, 'bad_message'],
  ['a foreign Origin', '', [local, 'Origin: http://evil.example', ...good], 403, 'forbidden_origin'],
  ['an Origin that is null', '', [local, 'Origin: null', ...good], 403, 'forbidden_origin'],
  ['an Origin of another port', '', [local, 'Origin: http://localhost:3000', ...good], 403, 'forbidden_origin'],
  ['another site without an Origin', '', [local, 'Sec-Fetch-Site: cross-site', ...good], 403, 'forbidden_site'],
  ['through a proxy without the key', '', [local, 'X-Forwarded-For: 10.0.0.8', ...good], 401, 'access_key_required'],
  ['through a proxy with a wrong key', '?token=wrong', [local, 'Forwarded: for=10.0.0.8', ...good], 401, 'access_key_required'],
];
