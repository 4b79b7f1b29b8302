import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publicKeyText, signFeed } from '../../scripts/sign-feed.ts';

/** The fields of a channel file to falsify; omitted ones are correct. */
export interface Offer {
  version: string;
  notes?: string;
  fileName: string;
  bytes: Buffer;
  sha512?: string;
  sizeBytes?: number;
  stagingPercentage?: number;
  channel?: 'latest' | 'beta';
  signedBy?: KeyObject;
}

/** A local feed that a test can falsify in every way. */
export class UpdateFeed {
  static async open(): Promise<UpdateFeed> {
    const feed = new UpdateFeed();
    await new Promise<void>((ready) => feed.#server.listen(0, '127.0.0.1', ready));
    return feed;
  }

  readonly #keys = generateKeyPairSync('ed25519');
  readonly #files = new Map<string, Buffer>();
  readonly #lies = new Map<string, RequestListener>();
  readonly #server: Server = createServer((request, response) => {
    const name = (request.url ?? '').slice(1);
    const lie = this.#lies.get(name);
    if (lie !== undefined) return lie(request, response);
    const bytes = this.#files.get(name);
    if (bytes === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.byteLength }).end(bytes);
  });

  /** The build settings of packages that trust this feed. */
  get buildSettings(): { UPDATE_FEED_URL: string; UPDATE_PUBLIC_KEY: string } {
    const { port } = this.#server.address() as AddressInfo;
    return { UPDATE_FEED_URL: `http://127.0.0.1:${port}/`, UPDATE_PUBLIC_KEY: publicKeyText(this.#keys.publicKey) };
  }

  /** Serves this release and nothing else. */
  offer({ version, notes = '', fileName, bytes, sha512, sizeBytes, stagingPercentage, channel = 'latest', signedBy }: Offer): void {
    this.#files.clear();
    this.#lies.clear();
    const lines = [
      `version: ${version}`,
      'files:',
      `  - url: ${fileName}`,
      `    sha512: ${sha512 ?? createHash('sha512').update(bytes).digest('base64')}`,
      `    size: ${sizeBytes ?? bytes.byteLength}`,
      `releaseNotes: ${JSON.stringify(notes)}`,
      ...(stagingPercentage === undefined ? [] : [`stagingPercentage: ${stagingPercentage}`]),
      "releaseDate: '2026-11-24T00:00:00.000Z'",
    ];
    this.#files.set(fileName, bytes);
    this.#sign(`${channel}-linux.yml`, Buffer.from(`${lines.join('\n')}\n`), signedBy);
  }

  /** Overrides the answer for one file. */
  lie(file: string, answer: RequestListener): void {
    this.#lies.set(file, answer);
  }

  /** A channel file with these bytes, and our signature over them. */
  signed(file: string, bytes: Buffer): void {
    this.#sign(file, bytes, undefined);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #sign(file: string, bytes: Buffer, key: KeyObject | undefined): void {
    const folder = mkdtempSync(join(tmpdir(), 'feed-'));
    writeFileSync(join(folder, file), bytes);
    signFeed(folder, key ?? this.#keys.privateKey);
    for (const name of [file, `${file}.sig`]) this.#files.set(name, readFileSync(join(folder, name)));
    rmSync(folder, { recursive: true });
  }
}
