import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { programDir } from '#main/lib/program-files.ts';

/** The feed of updates, and the key that signs it. */
export interface UpdateSource {
  /** The feed's folder, with a slash at the end. */
  url: URL;
  /** Ed25519. */
  publicKey: KeyObject;
}

const updatesSchema = z.object({ url: z.string(), publicKey: z.string() });
const manifestSchema = z.object({ updates: updatesSchema.optional() });

/** The source in this build's `package.json` (written by `electron-builder.config.mjs`), or null. Throws if it is invalid. */
export function loadUpdateSource(): UpdateSource | null {
  const { updates } = manifestSchema.parse(JSON.parse(readFileSync(join(programDir, 'package.json'), 'utf8')));
  return updates === undefined ? null : parseUpdateSource(updates);
}

/**
 * @param publicKey The key in SPKI DER form, base64.
 * Throws if the address is neither https nor on this machine, or the key is not an Ed25519 key.
 */
export function parseUpdateSource({ url, publicKey }: z.infer<typeof updatesSchema>): UpdateSource {
  const folder = new URL(url.endsWith('/') ? url : `${url}/`);
  if (folder.protocol !== 'https:' && !(folder.protocol === 'http:' && folder.hostname === '127.0.0.1'))
    throw new Error(`The update feed ${url} does not use https; only a feed on 127.0.0.1 may use http.`);
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`The public key of the update feed has type ${key.asymmetricKeyType}; it must be ed25519.`);
  return { url: folder, publicKey: key };
}
