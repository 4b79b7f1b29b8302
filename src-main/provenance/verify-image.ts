import type { Recipe } from '#shared/domain/recipe.ts';
import type { RepeatResult, Verification } from '#shared/domain/verification.ts';

export type ImageSource = { path: string } | { bytes: Uint8Array };

/** What a file says about its origin, and the hash of its pixels to compare that with. */
export interface InspectedImage {
  format: string;
  width: number;
  height: number;
  /** SHA-256 of the pixels, see `pixelHash`. */
  pixelsSha256: string;
  recipe: Recipe | null;
  isMarked: boolean;
}

/** An image in the database. */
export interface MadeImage {
  jobId: string;
  filename: string;
  /** Null where the file is missing. */
  path: string | null;
}

/** An image that was made from a recipe, in a temporary file. */
export interface RepeatedImage {
  path: string;
  recipe: Recipe;
  discard(): Promise<void>;
}

export interface VerifyParts {
  inspect(source: ImageSource): Promise<InspectedImage>;
  /** Null where the sizes differ. */
  compare(one: ImageSource, other: ImageSource): Promise<{ maxLevels: number; psnrDb: number } | null>;
  /** The image with these pixels, looked up by their hash and then among the files of the job. */
  findMade(pixelsSha256: string, jobId: string | null): Promise<MadeImage | null>;
  /** What is missing here to repeat an image, a sentence each. */
  obstacles(recipe: Recipe): Promise<string[]>;
  /** Makes the image of a recipe; left out where nothing is to be repeated. */
  repeat?: ((recipe: Recipe) => Promise<RepeatedImage>) | undefined;
}

/** Says whether a file is whole, was made here and can be repeated, and repeats it if `parts` can. Rejects where the file is no readable image. */
export async function verifyImage(source: ImageSource, parts: VerifyParts): Promise<Verification> {
  const found = await parts.inspect(source);
  const made = await parts.findMade(found.pixelsSha256, found.recipe?.job_id ?? null);
  const recipe = found.recipe ?? (made?.path == null ? null : (await parts.inspect({ path: made.path })).recipe);
  const pixels = made === null ? verdictOn(found) : 'intact';
  const obstacles = recipe === null ? ['There is no recipe to repeat it from.'] : await parts.obstacles(recipe);
  const { format, width, height, isMarked: marked } = found;
  const made_here = made === null ? null : { job_id: made.jobId, filename: made.filename };
  const verification = { format, width, height, pixels, made_here, marked, obstacles, recipe, repeat: null };
  if (parts.repeat === undefined) return verification;
  if (recipe === null || obstacles.length > 0) return { ...verification, repeat: { verdict: 'cannot', because: obstacles } };
  return { ...verification, repeat: await compareRepeated(source, { found, recipe, pixels }, await parts.repeat(recipe), parts) };
}

function verdictOn({ recipe, pixelsSha256 }: InspectedImage): Verification['pixels'] {
  if (recipe === null) return 'no_recipe';
  if (recipe.pixels === null) return 'not_recorded';
  return recipe.pixels.sha256 === pixelsSha256 ? 'intact' : 'changed';
}

type Known = { found: InspectedImage; recipe: Recipe; pixels: Verification['pixels'] };

async function compareRepeated(source: ImageSource, { found, recipe, pixels }: Known, repeated: RepeatedImage, parts: VerifyParts): Promise<RepeatResult> {
  try {
    if (repeated.recipe.pixels?.sha256 === found.pixelsSha256) return { verdict: 'identical' };
    const difference = await parts.compare(source, { path: repeated.path });
    const because = [
      ...(pixels === 'changed' ? [`The file's pixels were changed after it was made${found.format === 'png' ? '' : ` (it is a ${found.format} copy)`}.`] : []),
      ...differences(recipe, repeated.recipe),
    ];
    return { verdict: 'differs', max_levels: difference?.maxLevels ?? null, psnr_db: difference?.psnrDb ?? null, because };
  } finally {
    await repeated.discard();
  }
}

/** What computed the two images differently, a sentence each. */
function differences(before: Recipe, now: Recipe): string[] {
  if (before.made_on === null || now.made_on === null) return ['The recipe does not record what the image was made on.'];
  const named = { device: 'device', processor: 'processor', accuracy: 'accuracy', compiler: 'compiler version', onnxruntime: 'ONNX Runtime version' } as const;
  const keys = Object.keys(named) as (keyof typeof named)[];
  return keys
    .filter((key) => before.made_on?.[key] !== now.made_on?.[key])
    .map((key) => `Another ${named[key]}: ${before.made_on?.[key]} then, ${now.made_on?.[key]} now.`);
}
