import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import { type ImageSettings, imageSettings, type Texts } from './image-settings.ts';

/**
 * The text that AUTOMATIC1111 began and Forge, SD.Next, stable-diffusion.cpp and many others write: the prompt, perhaps `Negative prompt: …`, then a line
 * `Steps: 20, Sampler: Euler a, Seed: 1, Size: 512x768`.
 */
export function readA1111(texts: Texts): ImageSettings | null {
  const text = texts.get(PARAMETERS_KEYWORD);
  return text === undefined ? null : parseA1111(text);
}

export function parseA1111(text: string): ImageSettings | null {
  const lines = text.replaceAll(/\r\n?/g, '\n').split('\n');
  const settingsAt = lines.findLastIndex(isSettingsLine);
  if (settingsAt === -1) return null;
  const settings = parsePairs(lines[settingsAt] ?? '');
  const [prompt] = lines
    .slice(0, settingsAt)
    .join('\n')
    .split(/^Negative prompt:/m);
  const [, width, height] = /^(\d+)\s*[x×]\s*(\d+)$/.exec(settings.get('Size') ?? '') ?? [];
  return imageSettings({ prompt, width, height, steps: settings.get('Steps'), seed: settings.get('Seed') });
}

/** A prompt may mention steps too, so the line must have the other settings that every program writes. */
function isSettingsLine(line: string): boolean {
  if (!/^\s*Steps: ?\d/.test(line)) return false;
  const settings = parsePairs(line);
  return settings.has('Seed') && (settings.has('Sampler') || settings.has('Size'));
}

/** `key: value` pairs divided by commas; a value with a comma is in quotes. */
function parsePairs(line: string): Map<string, string> {
  const pairs = line.matchAll(/\s*([A-Za-z][\w ()/-]*?):\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)/g);
  return new Map([...pairs].map(([, key = '', value = '']) => [key, value.trim()]));
}
