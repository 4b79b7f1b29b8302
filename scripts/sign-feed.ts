// Signs the channel files of an update feed: UPDATE_SIGNING_KEY=<PEM> node scripts/sign-feed.ts dist
// Make a key pair: node scripts/sign-feed.ts --new-key
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** electron-builder's names: `latest.yml`, `beta-linux-arm64.yml` … */
const channelFile = /^(latest|beta)(-linux)?(-arm64)?\.yml$/;

/** Writes `<channel>.yml.sig` (base64 of the Ed25519 signature) beside every channel file in `folder`; returns their names. Throws if there are no channel files. */
export function signFeed(folder: string, privateKey: KeyObject): string[] {
  const files = readdirSync(folder).filter((file) => channelFile.test(file));
  if (files.length === 0) throw new Error(`${folder} contains no channel file such as latest-linux.yml: build the packages with UPDATE_FEED_URL first`);
  for (const file of files) writeFileSync(join(folder, `${file}.sig`), `${sign(null, readFileSync(join(folder, file)), privateKey).toString('base64')}\n`);
  return files;
}

/** Base64 of the SPKI DER form, the format of `UPDATE_PUBLIC_KEY`. */
export function publicKeyText(publicKey: KeyObject): string {
  return publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
}

if (import.meta.main) {
  const [argument] = process.argv.slice(2);
  if (argument === '--new-key') {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    process.stdout.write(`UPDATE_PUBLIC_KEY=${publicKeyText(publicKey)}\n${privateKey.export({ format: 'pem', type: 'pkcs8' })}`);
  } else {
    const { UPDATE_SIGNING_KEY: key } = process.env;
    if (argument === undefined || key === undefined) throw new Error('usage: UPDATE_SIGNING_KEY=<PEM of an Ed25519 key> node scripts/sign-feed.ts FOLDER');
    process.stdout.write(`signed ${signFeed(argument, createPrivateKey(key)).join(', ')}\n`);
  }
}
