import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { InputImage, InputImages } from '#main/jobs/input-images.ts';

/** Input images that are nowhere but in memory: each counts as `size`. */
export class FixedInputs implements InputImages {
  readonly kept = new Map<string, InputImage>();
  size = { width: 64, height: 48 };
  /** All of them were last used more than a day ago. */
  isOld = false;
  /** Every file has too many pixels. */
  isTooLarge = false;

  add(id: string): InputImage {
    const image = { id, path: `/uploads/${id}.png`, ...this.size };
    this.kept.set(id, image);
    return image;
  }

  async find(id: string): Promise<InputImage | null> {
    return this.kept.get(id) ?? null;
  }

  async addFile(path: string): Promise<InputImage | null> {
    if (this.isTooLarge) return null;
    return this.add(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    );
  }

  /** Ids of masks that repaint nothing. */
  readonly empty = new Set<string>();

  async repaints(mask: InputImage): Promise<boolean> {
    return !this.empty.has(mask.id);
  }

  async removeUnused(used: ReadonlySet<string>): Promise<void> {
    if (!this.isOld) return;
    for (const id of this.kept.keys()) if (!used.has(id)) this.kept.delete(id);
  }
}
