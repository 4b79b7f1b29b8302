import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import { type ImageSettings, imageSettings, type Texts } from './image-settings.ts';
import { parseJsonObject } from './parse-json.ts';

/** Fooocus writes JSON with a `resolution` such as `(1152, 896)`. Its other scheme is the text of AUTOMATIC1111. */
export function readFooocus(texts: Texts): ImageSettings | null {
  const params = parseJsonObject(texts.get(PARAMETERS_KEYWORD));
  if (params === null || !('metadata_scheme' in params || texts.get('fooocus_scheme') === 'fooocus')) return null;
  const [, width, height] = /^\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(String(params['resolution'] ?? '')) ?? [];
  return imageSettings({ prompt: params['prompt'], width, height, steps: params['steps'], seed: params['seed'] });
}
