import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { packageOf, readSignedRelease } from './update-feed.ts';
import { parseUpdateSource } from './update-source.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const publicKeyText = (key: KeyObject): string => key.export({ format: 'der', type: 'spki' }).toString('base64');
const hash = `${'A'.repeat(86)}==`;

/** A channel file in the form that electron-builder 26 writes. */
const channelFile = `version: 0.2.0
files:
  - url: z-image-turbo-studio_0.2.0_amd64.deb
    sha512: ${hash}
    size: 246171730
  - url: Z-Image-Turbo Studio-0.2.0-arm64.AppImage
    sha512: ${hash}
    size: 246171731
    blockMapSize: 258003
  - url: Z-Image-Turbo Studio-0.2.0-x64.AppImage
    sha512: ${hash}
    size: 246171732
path: z-image-turbo-studio_0.2.0_amd64.deb
sha512: ${hash}
releaseNotes: |
  Faster.
releaseDate: '2026-11-24T11:41:56.388Z'
`;
const read = (text: string, key = privateKey) =>
  readSignedRelease(Buffer.from(text), Buffer.from(sign(null, Buffer.from(text), key).toString('base64')), publicKey);

test("electron-builder's channel file is read, and the package for this kind and machine found in it", () => {
  const release = read(channelFile);
  expect(release).toMatchObject({ version: '0.2.0', releaseNotes: 'Faster.\n' });
  const folder = new URL('https://example.invalid/feed/');
  expect(packageOf(release, folder, 'deb', 'x64').info.size).toBe(246171730);
  expect(packageOf(release, folder, 'AppImage', 'x64').url.href).toBe('https://example.invalid/feed/Z-Image-Turbo%20Studio-0.2.0-x64.AppImage');
  expect(packageOf(release, folder, 'AppImage', 'arm64').info.size).toBe(246171731);
});

test.each([
  ['a changed byte', () => readSignedRelease(Buffer.from(`${channelFile} `), sign(null, Buffer.from(channelFile), privateKey), publicKey), 'bad_signature'],
  ['an invalid signature', () => readSignedRelease(Buffer.from(channelFile), Buffer.from('<html>'), publicKey), 'bad_signature'],
  ['a hash that is too short', () => read(channelFile.replaceAll(hash, 'AAAA')), 'not_a_feed'],
  ['a size without end', () => read(channelFile.replace('246171730', '1e300')), 'not_a_feed'],
  ['a version that is no version', () => read(channelFile.replace('0.2.0', '"../../0"')), 'not_a_feed'],
])('%s is refused', (_what, act, reason) => {
  expect(act).toThrow(expect.objectContaining({ reason }));
});

test('a feed is reached by https, or lies on this machine; its key is an Ed25519 key', () => {
  const key = publicKeyText(publicKey);
  expect(parseUpdateSource({ url: 'https://example.invalid/feed', publicKey: key }).url.href).toBe('https://example.invalid/feed/');
  expect(parseUpdateSource({ url: 'http://127.0.0.1:9/', publicKey: key }).url.port).toBe('9');
  for (const url of ['http://example.invalid/', 'http://127.0.0.1.example.invalid/', 'file:///feed/'])
    expect(() => parseUpdateSource({ url, publicKey: key })).toThrow('https');
  const { publicKey: other } = generateKeyPairSync('x25519');
  expect(() => parseUpdateSource({ url: 'https://example.invalid/', publicKey: publicKeyText(other) })).toThrow('x25519');
});
