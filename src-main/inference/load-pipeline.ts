import type { CompiledCheckpoint } from '#main/lib/compiled.ts';
import type { Architecture } from '#shared/domain/architecture.ts';
import type { ImagePipeline } from './pipelines/image-pipeline.ts';
import { loadKlein } from './pipelines/klein.ts';
import type { LoadOptions, OnLoadProgress } from './pipelines/load-parts.ts';
import { loadTextToImage } from './pipelines/text-to-image.ts';

type Load<Compiled extends CompiledCheckpoint> = (compiled: Compiled, options: LoadOptions<Compiled>, onProgress: OnLoadProgress) => Promise<ImagePipeline>;

const pipelines: { [Name in Architecture]: Load<Extract<CompiledCheckpoint, { architecture: Name }>> } = {
  'z-image': loadTextToImage,
  klein: loadKlein,
};

/** The pipeline of the checkpoint's architecture: tokenizer, scheduler settings and graphs; `onProgress` counts the graphs. */
export const loadPipeline: Load<CompiledCheckpoint> = (compiled, options, onProgress) => {
  // the table pairs each architecture with its own type, which a lookup by a union loses
  const load = pipelines[compiled.architecture] as Load<CompiledCheckpoint>;
  return load(compiled, options, onProgress);
};
