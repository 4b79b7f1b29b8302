import type { PngText } from '#main/engine/engine.ts';
import { PARAMETERS_KEYWORD, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';

/** The two text entries of a picture: our recipe and the settings line that stable-diffusion-webui began and many tools read. */
export function recipeTexts(recipe: Recipe): PngText[] {
  return [
    { keyword: PARAMETERS_KEYWORD, text: parametersText(recipe) },
    { keyword: RECIPE_KEYWORD, text: JSON.stringify(recipe) },
  ];
}

function parametersText({ params, checkpoint, upscaler, program, role }: Recipe): string {
  const settings: [string, string | number][] = [
    ['Steps', params.steps],
    ['Sampler', 'Euler'],
    ['CFG scale', params.guidance_scale],
    ['Seed', params.seed],
    ['Size', `${params.width}x${params.height}`],
    ['Model', checkpoint.name],
    ...(role === 'upscaled'
      ? ([
          ['Hires upscale', 4],
          ['Hires upscaler', upscaler.name],
        ] satisfies [string, string | number][])
      : []),
    ['Version', `${program.name} ${program.version}`],
  ];
  return `${params.prompt.toWellFormed()}\n${settings.map(([key, value]) => `${key}: ${quoted(String(value))}`).join(', ')}`;
}

/** Values with a separator inside are written as JSON strings, as those readers expect. */
function quoted(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}
