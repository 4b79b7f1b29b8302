import type { MadeImage } from '#main/provenance/verify-image.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { Store } from '../store/store.ts';
import { upscaledFileName } from './file-name.ts';
import type { ImageFolders } from './image-folders.ts';

interface Parts {
  store: Pick<Store, 'jobs' | 'pixels'>;
  folders: ImageFolders;
  /** The hash of the pixels of an image file. */
  hashOf: (path: string) => Promise<string>;
}

/** The image of the database with these pixels: by the recorded hash, else, for images from before hashes were recorded, among the files of job `jobId`. */
export async function findMadeImage({ store, folders, hashOf }: Parts, sha256: string, jobId: string | null): Promise<MadeImage | null> {
  const recorded = store.pixels.find(sha256);
  if (recorded !== null) return describe(recorded.jobId, recorded.role);
  if (jobId === null) return null;
  for (const role of ['original', 'upscaled'] as const) {
    const image = describe(jobId, role);
    // a damaged file is not the image that was asked for
    if (image?.path != null && (await hashOf(image.path).catch(() => null)) === sha256) return image;
  }
  return null;

  function describe(id: string, role: Recipe['role']): MadeImage | null {
    const job = store.jobs.byId(id);
    if (job === null) return null;
    const filename = role === 'original' ? job.filename : upscaledFileName(job.filename);
    return { jobId: id, filename, path: folders.has(filename) ? folders.path(filename) : null };
  }
}
