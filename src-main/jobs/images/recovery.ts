import type { JobState } from '#shared/domain/job.ts';
import type { JobsLog } from '../jobs.ts';
import type { JobProcessor } from '../processor/job-processor.ts';
import type { Store, StoredJob } from '../store/store.ts';
import type { UnitOfWork } from '../store/unit-of-work.ts';
import { upscaledFileName } from './file-name.ts';
import type { ImageFolders } from './image-folders.ts';

interface Parts {
  store: Store;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  processor: JobProcessor;
  log: JobsLog;
}

/**
 * Goes on where an earlier process ended, wherever that was. A picture under its final name whose row does not say so yet is taken over when it is whole
 * and this job's; else `processing` begins again and `generated` goes on at upscaling. Everything else waits in its old order.
 */
export async function recover({ store, unitOfWork, folders, processor, log }: Parts): Promise<void> {
  reconcileBin(store, folders);
  for (const found of store.unfinishedJobs()) {
    const job = await takeOver(found, unitOfWork, folders);
    if (job.state.status !== found.state.status)
      log.info({ job_id: job.jobId, status: job.state.status }, 'a picture written before the last end was taken over');
    if (job.state.status === 'pending') processor.enqueue(job);
    else if (job.state.status !== 'completed') processor.resume(job);
  }
}

/**
 * Fills an empty store from the pictures in the outputs folder. A picture without its enlargement becomes a failed job, which runs again when asked for.
 * What lay in the bin is brought back, since the old database alone knew when it was put there. Returns how many jobs were found.
 */
export async function indexOutputs(store: Store, folders: ImageFolders): Promise<number> {
  for (const filename of folders.binned()) folders.moveFromBin(filename);
  let jobs = 0;
  for (const filename of folders.originals()) {
    const recipe = await folders.recipeOf(filename);
    if (recipe === null || recipe.role !== 'original' || store.job(recipe.job_id) !== null) continue;
    const isUpscaled = (await folders.recipeOf(upscaledFileName(filename)))?.job_id === recipe.job_id;
    store.insertJob({
      jobId: recipe.job_id,
      params: recipe.params,
      checkpoint: recipe.checkpoint,
      upscaler: recipe.upscaler,
      filename,
      state: isUpscaled ? { status: 'completed', result: { filename, upscaledFilename: upscaledFileName(filename) } } : withoutEnlargement(filename),
      owner: 'index',
      arrival: ++jobs,
      createdAtMs: recipe.created_at * 1000,
    });
  }
  return jobs;
}

async function takeOver(job: StoredJob, unitOfWork: UnitOfWork, folders: ImageFolders): Promise<StoredJob> {
  const { filename, jobId } = job;
  if (job.state.status === 'processing' && (await folders.recipeOf(filename))?.job_id === jobId) {
    return unitOfWork.commit((afterCommit) => unitOfWork.apply(job, { type: 'generated', filename }, afterCommit)) ?? job;
  }
  const upscaledFilename = upscaledFileName(filename);
  if (job.state.status === 'generated' && folders.has(filename) && (await folders.recipeOf(upscaledFilename))?.job_id === jobId) {
    return unitOfWork.commit((afterCommit) => unitOfWork.apply(job, { type: 'completed', result: { filename, upscaledFilename } }, afterCommit)) ?? job;
  }
  return job;
}

/** The files of a deletion or an undo that was interrupted go to where the row says. */
function reconcileBin(store: Store, folders: ImageFolders): void {
  for (const { filename } of store.binnedJobs()) folders.moveToBin(filename);
  for (const filename of folders.binned()) {
    const job = store.jobByFilename(filename);
    if (job !== null && job.deletedAtMs === null) folders.moveFromBin(filename);
  }
}

function withoutEnlargement(filename: string): JobState {
  const message = `The database was damaged and ${filename} has no enlargement. Send the job again to make both pictures anew.`;
  return { status: 'failed', error: { code: 'database_damaged', message, data: {} }, filename };
}
