import { basename } from 'node:path';

export interface LoraUse {
  name: string;
  weight: number;
}

const tagPattern = /<lora:([^:>]+)((?::[^:>]*)*)>/gi;

/**
 * Takes `<lora:NAME:WEIGHT>` out of a prompt. Of two weights the second is that of the transformer. A weight that is absent or no number is 1.
 * Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#lora
 */
export function splitLoraTags(prompt: string): { prompt: string; loras: LoraUse[] } {
  const loras: LoraUse[] = [];
  const rest = prompt.replaceAll(tagPattern, (_, name: string, args: string) => {
    const weights = args
      .split(':')
      .slice(1)
      .map((text) => (text.trim() === '' ? Number.NaN : Number(text)))
      .filter((weight) => Number.isFinite(weight));
    loras.push({ name: loraName(name), weight: weights[1] ?? weights[0] ?? 1 });
    return '';
  });
  return loras.length === 0 ? { prompt, loras } : { prompt: rest.replaceAll(/ {2,}/g, ' ').trim(), loras };
}

/** LoRAs are known by their file's name without its end. */
export function loraName(path: string): string {
  return basename(path.trim().replaceAll('\\', '/')).replace(/\.safetensors$/i, '');
}
