import { expect, test } from 'vitest';
import { isExternalLink, isOwnPage } from './page-guard.ts';

const origin = 'http://127.0.0.1:8004';

test.each([
  ['http://127.0.0.1:8004/', true],
  ['http://127.0.0.1:8004/docs?x#y', true],
  ['http://127.0.0.1:8005/', false],
  ['https://127.0.0.1:8004/', false],
  ['http://127.0.0.1:8004@evil.example/', false],
  ['http://127.0.0.1:8004.evil.example/', false],
  ['http://localhost:8004/', false],
  ['file:///etc/passwd', false],
  ['about:blank', false],
  ['', false],
])('%j is our page: %j', (url, expected) => {
  expect(isOwnPage(url, origin)).toBe(expected);
});

test.each([
  ['https://example.org/a?b=c', true],
  ['http://example.org/', false],
  ['https://user:word@example.org/', false],
  ['javascript:alert(1)', false],
  ['file:///etc/passwd', false],
  ['smb://host/share', false],
  ['ms-settings:privacy', false],
  ['https://', false],
  ['http://127.0.0.1:8004/docs', true],
  ['http://127.0.0.1:8004/docs/websocket', true],
  ['http://127.0.0.1:8004/', false],
  ['http://127.0.0.1:8004/api/network', false],
  ['http://127.0.0.1:8005/docs', false],
  ['http://user:word@127.0.0.1:8004/docs', false],
  ['http://127.0.0.1:8004.evil.example/docs', false],
])('%j may open in the browser: %j', (url, expected) => {
  expect(isExternalLink(url, origin)).toBe(expected);
});
