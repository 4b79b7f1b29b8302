import { type ImageSettings, imageSettings, type Texts } from './image-settings.ts';
import { parseJsonObject } from './parse-json.ts';

/** NovelAI writes the prompt as `Description` and its parameters as JSON in `Comment`. */
export function readNovelAi(texts: Texts): ImageSettings | null {
  if (texts.get('Software') !== 'NovelAI') return null;
  const params = parseJsonObject(texts.get('Comment')) ?? {};
  return imageSettings({ ...params, prompt: params['prompt'] ?? texts.get('Description') });
}
