import { type ImageSettings, imageSettings, type Texts } from './image-settings.ts';
import { asObject, parseJsonObject } from './parse-json.ts';

/** InvokeAI writes `invokeai_metadata`; its versions 1 and 2 wrote `sd-metadata`. Both are JSON. */
export function readInvokeAi(texts: Texts): ImageSettings | null {
  const current = parseJsonObject(texts.get('invokeai_metadata'));
  if (current !== null) return imageSettings({ ...current, prompt: current['positive_prompt'] });
  const older = asObject(parseJsonObject(texts.get('sd-metadata'))?.['image']);
  return older === null ? null : imageSettings({ ...older, prompt: promptOf(older['prompt']) });
}

/** Version 1 had a list of prompts with weights. */
function promptOf(prompt: unknown): unknown {
  return Array.isArray(prompt) ? asObject(prompt[0])?.['prompt'] : prompt;
}
