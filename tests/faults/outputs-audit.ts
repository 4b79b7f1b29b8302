import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { decodePng } from '#main/lib/read-png.ts';

/** Checks the image folder from outside, between two runs of the server. */
export class OutputsAudit {
  readonly #dir: string;
  /** Complete files by name, with their modification time. */
  readonly #whole = new Map<string, number>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  get wholeFiles(): number {
    return this.#whole.size;
  }

  temporaryFiles(): string[] {
    return names(this.#dir).filter((name) => name.endsWith('.part'));
  }

  /** One sentence for each incomplete file under a final name: checks every chunk's CRC and decodes the pixels. */
  async damagedFiles(): Promise<string[]> {
    const damage: string[] = [];
    for (const folder of [this.#dir, join(this.#dir, '.bin')]) {
      for (const name of names(folder).filter((each) => each.endsWith('.png'))) {
        const path = join(folder, name);
        const { mtimeMs } = statSync(path);
        if (this.#whole.get(name) === mtimeMs) continue;
        try {
          await decodePng(path);
          this.#whole.set(name, mtimeMs);
        } catch (thrown) {
          damage.push(`${name} is not whole: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
        }
      }
    }
    return damage;
  }

  /** One sentence for each misplaced image: both files belong in the outputs, or both in the bin. */
  misplacedFiles(filename: string, isBinned: boolean): string[] {
    const upscaled = filename.replace(/\.png$/, '-upscaled.png');
    const [shown, binned] = [names(this.#dir), names(join(this.#dir, '.bin'))];
    return [filename, upscaled]
      .filter((name) => shown.includes(name) === isBinned || binned.includes(name) !== isBinned)
      .map((name) => `${name} is not ${isBinned ? 'in the bin alone' : 'in the outputs alone'}`);
  }
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (thrown) {
    // killed before it was created
    if (errnoCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
