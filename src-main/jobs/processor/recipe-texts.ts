import type { PngText } from '#main/engine/engine.ts';
import { PARAMETERS_KEYWORD, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';

/** What varies between recipes. */
export type RecipeFacts = Omit<Recipe, 'version' | 'task_type' | 'program'> & { programVersion: string };

/** The two texts of an image: our recipe, and the settings line of stable-diffusion-webui that many tools read. */
export function recipeTexts({ role, job_id, params, checkpoint, upscaler, programVersion, created_at }: RecipeFacts): PngText[] {
  const recipe: Recipe = {
    version: 1,
    role,
    job_id,
    task_type: 'text_to_image',
    params,
    checkpoint: { name: checkpoint.name, identity: checkpoint.identity },
    upscaler: { name: upscaler.name, identity: upscaler.identity },
    program: { name: 'Z-Image-Turbo Studio', version: programVersion },
    created_at,
  };
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

/** Values that contain a separator become JSON strings, as other readers expect. */
function quoted(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}
