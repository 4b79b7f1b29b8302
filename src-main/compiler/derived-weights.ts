import { type FileHandle, open } from 'node:fs/promises';
import { syncFile } from '#main/lib/sync-file.ts';
import { diskError } from '#main/lib/write-file.ts';
import type { FileData } from './graph/ir.ts';

/** A weight that could not be used in place, and why. */
export interface Unpacked {
  tensor: string;
  reason: string;
  bytes: number;
}

/** What another graph over the same weights has written: its file, and what is in it, in its order. */
export interface WrittenWeights {
  path: string;
  unpacked: readonly Unpacked[];
}

const ALIGNMENT = 64;

/** Weights that cannot be used in place, one after the other in a file of the compiled checkpoint. The file is made with the first of them. */
export class DerivedWeights {
  readonly unpacked: Unpacked[] = [];
  /** The path that graphs refer to. */
  readonly path: string;
  readonly #writePath: string | null;
  #file: FileHandle | null = null;
  readonly #written = new Map<string, FileData>();
  #size = 0;

  /**
   * Written to `writePath`, or only counted where that is null; graphs refer to `finalPath`, the file in the finished folder. What `written` has is used
   * there instead.
   */
  constructor(writePath: string | null, finalPath: string, written: readonly WrittenWeights[] = []) {
    this.#writePath = writePath;
    this.path = finalPath;
    for (const { path, unpacked } of written) {
      let end = 0;
      for (const { tensor, reason, bytes: byteLength } of unpacked) {
        const offset = alignedTo(end);
        this.#written.set(keyOf(tensor, reason, byteLength), { kind: 'file', path, offset, byteLength });
        end = offset + byteLength;
      }
    }
  }

  /** Appends what `produce` returns, `byteLength` bytes, and returns its place. Throws `disk_full`, `folder_not_writable` or `disk_failed`. */
  async append(byteLength: number, tensor: string, reason: string, produce: () => Uint8Array | Promise<Uint8Array>): Promise<FileData> {
    const written = this.#written.get(keyOf(tensor, reason, byteLength));
    if (written !== undefined) return written;
    const offset = alignedTo(this.#size);
    if (this.#writePath !== null) await this.#write(this.#writePath, await produce(), offset);
    this.#size = offset + byteLength;
    this.unpacked.push({ tensor, reason, bytes: byteLength });
    return { kind: 'file', path: this.path, offset, byteLength };
  }

  /** Syncs the file to the disk and closes it. */
  async finish(): Promise<void> {
    if (this.#file !== null) await syncFile(this.#file);
    await this.#file?.close();
    this.#file = null;
  }

  async #write(path: string, bytes: Uint8Array, offset: number): Promise<void> {
    try {
      this.#file ??= await open(path, 'wx');
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.byteLength - done, offset + done);
        done += bytesWritten;
      }
    } catch (cause) {
      throw await diskError(cause, path, bytes.byteLength);
    }
  }
}

function alignedTo(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function keyOf(tensor: string, reason: string, byteLength: number): string {
  return JSON.stringify([tensor, reason, byteLength]);
}
