import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import { type ImageSettings, imageSettings, type Texts } from './image-settings.ts';
import { asObject, parseJsonObject } from './parse-json.ts';

/** SwarmUI writes JSON whose `sui_image_params` has all parameters. */
export function readSwarmUi(texts: Texts): ImageSettings | null {
  const params = asObject(parseJsonObject(texts.get(PARAMETERS_KEYWORD))?.['sui_image_params']);
  return params === null ? null : imageSettings(params);
}
