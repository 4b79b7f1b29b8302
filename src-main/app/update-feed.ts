import { type KeyObject, verify } from 'node:crypto';
import { Provider, type ResolvedUpdateFileInfo, type UpdateInfo } from 'electron-updater';
import { type ProviderRuntimeOptions, parseUpdateInfo } from 'electron-updater/out/providers/Provider.js';
import { z } from 'zod';
import type { UpdateChannel } from '#shared/protocol/desktop.ts';
import { UpdateRefusal } from './update-refusal.ts';
import type { UpdateSource } from './update-source.ts';

const MAX_FEED_BYTES = 256 * 1024;
const MAX_SIGNATURE_BYTES = 1024;
const MAX_PACKAGE_BYTES = 4 * 1024 ** 3;

const fileSchema = z.object({
  url: z.string().min(1),
  // exactly 64 bytes in base64
  sha512: z.string().regex(/^[A-Za-z0-9+/]{86}==$/),
  size: z.number().int().positive().max(MAX_PACKAGE_BYTES),
});

const releaseSchema = z.object({
  version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/),
  files: z.array(fileSchema).min(1),
  releaseDate: z.union([z.string(), z.date().transform((date) => date.toISOString())]),
  releaseNotes: z.string().exactOptional(),
  stagingPercentage: z.number().min(0).max(100).exactOptional(),
  minimumSystemVersion: z.string().exactOptional(),
});

/** One release as a channel file describes it. */
export type FeedRelease = z.infer<typeof releaseSchema>;

/**
 * Checks the signature of a channel file (`latest-linux.yml`, as electron-builder writes it) and parses it.
 * @param signature Base64 of the Ed25519 signature over `bytes`.
 * Throws `UpdateRefusal` `bad_signature` or `not_a_feed`.
 */
export function readSignedRelease(bytes: Buffer, signature: Buffer, publicKey: KeyObject): FeedRelease {
  const isSigned = verify(null, bytes, publicKey, Buffer.from(signature.toString('latin1'), 'base64'));
  if (!isSigned) throw new UpdateRefusal('bad_signature', 'Ed25519');
  let parsed: unknown;
  try {
    parsed = parseUpdateInfo(bytes.toString('utf8'), 'the channel file', new URL('about:blank'));
  } catch (cause) {
    throw new UpdateRefusal('not_a_feed', 'YAML', { cause });
  }
  const release = releaseSchema.safeParse(parsed);
  if (!release.success) throw new UpdateRefusal('not_a_feed', release.error.issues.map(({ path }) => path.join('.')).join(', '), { cause: release.error });
  return release.data;
}

/** The file of a release for this package and processor. Throws `UpdateRefusal` `no_package` or `insecure_address`. */
export function packageOf(release: Pick<UpdateInfo, 'version' | 'files'>, folder: URL, extension: string, arch: string): ResolvedUpdateFileInfo {
  const fitting = release.files.filter(({ url }) => url.toLowerCase().endsWith(`.${extension.toLowerCase()}`));
  const file = fitting.find(({ url }) => url.includes(arch)) ?? fitting[0];
  if (file === undefined) throw new UpdateRefusal('no_package', `${release.version} .${extension}`);
  const url = URL.canParse(file.url, folder.href) ? new URL(file.url, folder) : null;
  if (url?.origin !== folder.origin) throw new UpdateRefusal('insecure_address', file.url);
  return { url, info: file };
}

export interface SignedFeedOptions {
  source: UpdateSource;
  /** Reads at most `maxBytes` of a file of the feed; throws `UpdateRefusal`. */
  fetchBytes(url: URL, maxBytes: number): Promise<Buffer>;
  channel(): UpdateChannel;
  /** File extension of this package: `deb`, `AppImage` … */
  extension: string;
}

/** A provider for electron-updater that accepts only signed channel files: `<channel>.yml` with `<channel>.yml.sig`. */
export function signedFeed({ source, fetchBytes, channel, extension }: SignedFeedOptions) {
  return class SignedFeed extends Provider<UpdateInfo> {
    // electron-updater passes its options and the updater first
    constructor(_options: unknown, _updater: unknown, runtimeOptions: ProviderRuntimeOptions) {
      super(runtimeOptions);
    }

    override async getLatestVersion(): Promise<UpdateInfo> {
      const file = `${this.getCustomChannelName(channel())}.yml`;
      const bytes = await fetchBytes(new URL(file, source.url), MAX_FEED_BYTES);
      const signature = await fetchBytes(new URL(`${file}.sig`, source.url), MAX_SIGNATURE_BYTES);
      const release = readSignedRelease(bytes, signature, source.publicKey);
      const { info } = packageOf(release, source.url, extension, process.arch);
      return { ...release, path: info.url, sha512: info.sha512 };
    }

    override resolveFiles(info: UpdateInfo): ResolvedUpdateFileInfo[] {
      return [packageOf(info, source.url, extension, process.arch)];
    }
  };
}
