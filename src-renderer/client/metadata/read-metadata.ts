import type { TextToImageParams } from '#shared/domain/job.ts';
import type { Upload } from '#shared/protocol/http.ts';
import type { ImageSettings, Texts } from './image-settings.ts';
import { readA1111 } from './read-a1111.ts';
import { readComfyUi } from './read-comfyui.ts';
import { readDrawThings } from './read-draw-things.ts';
import { readFooocus } from './read-fooocus.ts';
import { readInvokeAi } from './read-invokeai.ts';
import { readNovelAi } from './read-novelai.ts';
import { readSwarmUi } from './read-swarmui.ts';

/** Readers of other programs' formats; each returns null for anything but its own. Graphs come last: programs that run on ComfyUI add one to their own format. */
const readers: ReadonlyArray<(texts: Texts) => ImageSettings | null> = [
  readA1111,
  readSwarmUi,
  readFooocus,
  readInvokeAi,
  readNovelAi,
  readDrawThings,
  readComfyUi,
];

/** The settings of an image: our own recipe, which the server has parsed, or else another program's metadata. Null if none is recognised. */
export function readMetadata({ recipe, texts }: Pick<Upload, 'recipe' | 'texts'>): Partial<TextToImageParams> | null {
  if (recipe !== null) return recipe.task_type === 'upscale' ? null : recipe.params;
  const byKeyword = new Map(texts.map(({ keyword, text }) => [keyword, text]));
  for (const read of readers) {
    const settings = read(byKeyword);
    if (settings !== null) return settings;
  }
  return null;
}
