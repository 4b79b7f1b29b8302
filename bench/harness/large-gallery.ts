import { createHash } from 'node:crypto';
import { copyFileSync, linkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { imageFileName, upscaledFileName } from '#main/jobs/images/file-name.ts';
import { openDatabase } from '#main/jobs/store/database.ts';
import { createStore } from '#main/jobs/store/store.ts';
import type { NewJob } from '#main/jobs/store/stored-job.ts';
import { errnoCode } from '#main/lib/errno-code.ts';

/**
 * Adds finished jobs to the data folder of a server that is not running, until it has `count`. Their images are hard links to the existing
 * images. This is the same work for a server: each name has its own thumbnail.
 */
export async function fillGallery(dataDir: string, outputsDir: string, count: number): Promise<void> {
  const { database } = await openDatabase(join(dataDir, 'jobs.db'), Date.now());
  const store = createStore(database);
  try {
    const samples = store.jobs.list({ status: 'completed', limit: count }, count);
    store.transaction(() => {
      for (let number = samples.length; number < count; number++) {
        const sample = samples[number % samples.length];
        if (sample === undefined) throw new Error(`${dataDir} contains no finished job to take images from`);
        const jobId = createHash('sha256').update(`${sample.jobId} ${number}`).digest('hex');
        if (sample.taskType !== 'text_to_image') throw new Error('the images must be made from text');
        const params = { ...sample.params, seed: number };
        const createdAtMs = sample.createdAtMs + number;
        const filename = imageFileName(createdAtMs, `${number} ${params.prompt}`, jobId, () => false);
        const upscaledFilename = upscaledFileName(filename);
        addName(outputsDir, sample.filename, filename);
        addName(outputsDir, upscaledFileName(sample.filename), upscaledFilename);
        const job: NewJob = {
          ...sample,
          jobId,
          params,
          filename,
          createdAtMs,
          arrival: sample.arrival + number,
          state: { status: 'completed', result: { filename, upscaledFilename } },
        };
        store.jobs.insert(job);
        // a server would measure each file in the background
        store.jobs.setSize(jobId, sizeBytes(outputsDir, sample.filename));
      }
    });
  } finally {
    store.close();
  }
}

function sizeBytes(dir: string, filename: string): number {
  return statSync(join(dir, filename)).size + statSync(join(dir, upscaledFileName(filename))).size;
}

/** File systems limit the links to one file, ext4 to 65,000; after that a copy is used. */
function addName(dir: string, known: string, name: string): void {
  try {
    linkSync(join(dir, known), join(dir, name));
  } catch (thrown) {
    if (errnoCode(thrown) !== 'EMLINK') throw thrown;
    copyFileSync(join(dir, known), join(dir, name));
  }
}
