import { type JobState, type JobWork, secondScaleOf } from '#shared/domain/job.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { JobsLog } from '../jobs.ts';
import type { JobProcessor } from '../processor/job-processor.ts';
import { jobIdOf } from '../queue/job-id.ts';
import type { Store } from '../store/store.ts';
import type { StoredJob } from '../store/stored-job.ts';
import type { UnitOfWork } from '../store/unit-of-work.ts';
import { upscaledFileName } from './file-name.ts';
import type { ImageFolders } from './image-folders.ts';

const INDEXED_AT_ONCE = 50;
const BINNED_AT_ONCE = 500;

interface Parts {
  store: Store;
  unitOfWork: UnitOfWork;
  folders: ImageFolders;
  processor: JobProcessor;
  log: JobsLog;
}

/**
 * Goes on where an earlier process ended. A complete image under its final name whose row does not say so yet is taken over when it is this job's; else
 * `processing` begins again and `generated` goes on at upscaling. Everything else waits in its old order.
 */
export async function recover({ store, unitOfWork, folders, processor, log }: Parts): Promise<void> {
  const unfinished = store.jobs.unfinished();
  for (const found of unfinished) {
    if (!canRun(found)) continue;
    const job = await takeOver(found, unitOfWork, folders);
    if (job.state.status !== found.state.status)
      log.info({ job_id: job.jobId, status: job.state.status }, 'an image that was written before the last end was taken over');
    if (job.state.status === 'pending') processor.enqueue(job);
    else if (job.state.status !== 'completed') processor.resume(job);
  }
  const left = unfinished.filter((job) => !canRun(job)).length;
  if (left > 0) log.warn({ jobs: left }, 'unfinished jobs were saved by another version of the program; they are kept and not run');
}

/** The id says whether this version reads the same job out of the row that was asked for. */
function canRun(job: StoredJob): boolean {
  return !job.isForeign && job.jobId === jobIdOf(job);
}

/**
 * Adds the images in the folders that the database does not know, so that it can be repeated after an interruption. An image without its upscaled version
 * becomes a failed job, which runs again when asked for. An unknown image in the bin comes back, as only the lost database knew when it was put there.
 */
export async function indexImages(store: Store, folders: ImageFolders, log: JobsLog): Promise<void> {
  for (const filename of await folders.binned()) {
    if (!store.jobs.hasFilename(filename)) await tryMove(() => folders.moveFromBin(filename), filename, log);
  }
  const names = (await folders.originals()).filter((filename) => !store.jobs.hasFilename(filename));
  let found = 0;
  for (let at = 0; at < names.length; at += INDEXED_AT_ONCE) {
    const images = await Promise.all(names.slice(at, at + INDEXED_AT_ONCE).map((filename) => readImage(filename, folders)));
    store.transaction(() => {
      for (const image of images) {
        if (image === null || store.jobs.byId(image.recipe.job_id) !== null) continue;
        const { filename, recipe, state } = image;
        const { job_id: jobId, created_at } = recipe;
        store.jobs.insert({ jobId, ...modelsAndWorkOf(recipe), filename, state, requester: 'index', arrival: ++found, createdAtMs: created_at * 1000 });
      }
    });
  }
  store.state.set('indexed', 'true');
  if (found > 0) log.warn({ images: found }, 'the database did not know these images; they were indexed from the recipes in them');
}

async function readImage(filename: string, folders: ImageFolders) {
  const recipe = await folders.recipeOf(filename);
  if (recipe === null || (recipe.task_type !== 'upscale' && recipe.role !== 'original')) return null;
  if (secondScaleOf(modelsAndWorkOf(recipe)) === null) return { filename, recipe, state: { status: 'completed', result: { filename } } satisfies JobState };
  const upscaledFilename = upscaledFileName(filename);
  const isUpscaled = (await folders.recipeOf(upscaledFilename))?.job_id === recipe.job_id;
  const state: JobState = isUpscaled ? { status: 'completed', result: { filename, upscaledFilename } } : notUpscaled(filename);
  return { filename, recipe, state };
}

function modelsAndWorkOf(recipe: Recipe): JobWork & Pick<StoredJob, 'checkpoint' | 'upscaler'> {
  if (recipe.task_type === 'upscale') return { taskType: recipe.task_type, params: recipe.params, checkpoint: null, upscaler: recipe.upscaler };
  const models = { checkpoint: recipe.checkpoint, upscaler: recipe.upscaler ?? null };
  if (recipe.task_type === 'inpaint') return { taskType: recipe.task_type, params: recipe.params, ...models };
  if (recipe.task_type === 'image_to_image') return { taskType: recipe.task_type, params: recipe.params, ...models };
  return { taskType: recipe.task_type, params: recipe.params, ...models };
}

async function takeOver(job: StoredJob, unitOfWork: UnitOfWork, folders: ImageFolders): Promise<StoredJob> {
  const { filename, jobId } = job;
  if (job.state.status === 'processing' && (await folders.recipeOf(filename))?.job_id === jobId) {
    return unitOfWork.commit((events) => unitOfWork.apply(job, { type: 'generated', filename }, events)) ?? job;
  }
  const upscaledFilename = upscaledFileName(filename);
  if (
    secondScaleOf(job) !== null &&
    job.state.status === 'generated' &&
    folders.has(filename) &&
    (await folders.recipeOf(upscaledFilename))?.job_id === jobId
  ) {
    return unitOfWork.commit((events) => unitOfWork.apply(job, { type: 'completed', result: { filename, upscaledFilename } }, events)) ?? job;
  }
  return job;
}

/** Moves the files of an interrupted deletion or restoration to where their row says. */
export async function reconcileBin(store: Store, folders: ImageFolders, log: JobsLog): Promise<void> {
  const inBin = new Set(await folders.binned());
  for (const filename of inBin) {
    const job = store.jobs.byFilename(filename);
    if (job !== null && job.deletedAtMs === null) await tryMove(() => folders.moveFromBin(filename), filename, log);
  }
  const seen: string[] = [];
  for (;;) {
    const jobs = store.jobs.binned({ except: seen, limit: BINNED_AT_ONCE });
    if (jobs.length === 0) return;
    for (const { jobId, filename } of jobs) {
      seen.push(jobId);
      if (!inBin.has(filename)) await tryMove(() => folders.moveToBin(filename), filename, log);
    }
  }
}

/** One file that cannot be moved must not keep the program from starting. */
async function tryMove(move: () => Promise<void>, filename: string, log: JobsLog): Promise<void> {
  await move().catch((thrown: unknown) => log.warn({ err: thrown, filename }, 'an image could not be moved into or out of the bin'));
}

function notUpscaled(filename: string): JobState {
  const message = `The database was lost and ${filename} has no upscaled version. Send the job again to make both images.`;
  return { status: 'failed', error: { code: 'database_damaged', message, data: {} }, filename };
}
