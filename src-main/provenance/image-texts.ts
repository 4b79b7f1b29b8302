import { canonicalJson } from '#main/lib/canonical-json.ts';
import type { PngText } from '#main/lib/png.ts';
import { PARAMETERS_KEYWORD, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';
import { xmpPacket } from './xmp-packet.ts';

/** Keyword of an XMP packet in a PNG. Source: XMP specification, part 3, 1.1.5 */
export const XMP_KEYWORD = 'XML:com.adobe.xmp';

/**
 * The texts of an image: the marks if it is to have them, our recipe and, if a model drew it, the settings line that stable-diffusion-webui began and many tools read.
 * The marks are text and not EXIF: exiftool skips EXIF behind a C2PA chunk.
 */
export function imageTexts(recipe: Recipe, isMarked: boolean): PngText[] {
  return [
    ...(isMarked ? [{ keyword: XMP_KEYWORD, text: xmpPacket(recipe) }] : []),
    ...(recipe.task_type === 'upscale' ? [] : [{ keyword: PARAMETERS_KEYWORD, text: parametersText(recipe) }]),
    { keyword: RECIPE_KEYWORD, text: canonicalJson(recipe) },
  ];
}

function parametersText({ params, checkpoint, upscaler, program, role }: Exclude<Recipe, { task_type: 'upscale' }>): string {
  const settings: [string, string | number][] = [
    ['Steps', params.steps],
    ['Sampler', 'Euler'],
    ['CFG scale', params.guidance_scale],
    ['Seed', params.seed],
    ['Size', `${params.width}x${params.height}`],
    ['Model', checkpoint.name],
    ...('strength' in params ? ([['Denoising strength', params.strength]] satisfies [string, number][]) : []),
    ...(role === 'upscaled' && upscaler !== undefined
      ? ([
          ['Hires upscale', params.upscale || 4],
          ['Hires upscaler', upscaler.name],
        ] satisfies [string, string | number][])
      : []),
    ['Version', `${program.name} ${program.version}`],
  ];
  const negative = params.negative_prompt === undefined ? '' : `\nNegative prompt: ${params.negative_prompt}`;
  return `${params.prompt.toWellFormed()}${negative}\n${settings.map(([key, value]) => `${key}: ${quoted(String(value))}`).join(', ')}`;
}

/** Values that contain a separator become JSON strings, as other readers expect. */
function quoted(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}
