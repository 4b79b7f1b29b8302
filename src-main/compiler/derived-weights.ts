import { type FileHandle, open } from 'node:fs/promises';
import { syncFile } from '#main/lib/sync-file.ts';
import { diskError } from '#main/lib/write-file.ts';
import type { FileData } from './graph/ir.ts';

/** A weight that could not be used where it stands, and why. */
export interface Unpacked {
  tensor: string;
  reason: string;
  bytes: number;
}

const ALIGNMENT = 64;

/** Weights that cannot be used in place, one after the other in a file of the compiled checkpoint. The file is made with the first of them. */
export class DerivedWeights {
  readonly unpacked: Unpacked[] = [];
  /** Where graphs look for them. */
  readonly path: string;
  readonly #writePath: string;
  #file: FileHandle | null = null;
  #size = 0;

  /** Written at `writePath`; graphs refer to `finalPath`, where the finished folder will stand. */
  constructor(writePath: string, finalPath: string) {
    this.#writePath = writePath;
    this.path = finalPath;
  }

  /** Appends `bytes` and tells where they are. */
  async append(bytes: Uint8Array, tensor: string, reason: string): Promise<FileData> {
    const offset = Math.ceil(this.#size / ALIGNMENT) * ALIGNMENT;
    try {
      this.#file ??= await open(this.#writePath, 'wx');
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.byteLength - done, offset + done);
        done += bytesWritten;
      }
    } catch (cause) {
      throw await diskError(cause, this.#writePath, bytes.byteLength);
    }
    this.#size = offset + bytes.byteLength;
    this.unpacked.push({ tensor, reason, bytes: bytes.byteLength });
    return { kind: 'file', path: this.path, offset, byteLength: bytes.byteLength };
  }

  /** Puts everything on disk for certain and closes the file. */
  async finish(): Promise<void> {
    if (this.#file !== null) await syncFile(this.#file);
    await this.#file?.close();
    this.#file = null;
  }
}
