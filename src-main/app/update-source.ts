import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';

/** Where updates come from, and whose signature makes them ours. */
export interface UpdateSource {
  /** The feed's folder: its address ends with a slash. */
  url: URL;
  /** Ed25519. */
  publicKey: KeyObject;
}

const updatesSchema = z.object({ url: z.string(), publicKey: z.string() });
const manifestSchema = z.object({ updates: updatesSchema.optional() });

/** The source that `electron-builder.config.mjs` wrote into this build's `package.json`, or null where it names none. Throws where it names a bad one. */
export function loadUpdateSource(): UpdateSource | null {
  const { updates } = manifestSchema.parse(JSON.parse(readFileSync(join(programDir, 'package.json'), 'utf8')));
  return updates === undefined ? null : parseUpdateSource(updates);
}

/**
 * @param publicKey Base64 of the key's SPKI DER form.
 * Throws where the address is neither https nor a feed on this very machine, or the key is no Ed25519 key.
 */
export function parseUpdateSource({ url, publicKey }: z.infer<typeof updatesSchema>): UpdateSource {
  const folder = new URL(url.endsWith('/') ? url : `${url}/`);
  if (folder.protocol !== 'https:' && !(folder.protocol === 'http:' && folder.hostname === '127.0.0.1'))
    throw new Error(`The update feed ${url} is not reached by https. Only a feed on 127.0.0.1 may do without.`);
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`The update feed's public key is of the type ${key.asymmetricKeyType}; it must be ed25519.`);
  return { url: folder, publicKey: key };
}
