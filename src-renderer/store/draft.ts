import { z } from 'zod';
import { modelTypeSchema, type TextToImageParams } from '#shared/domain/job.ts';
import { MAX_PICTURE_PIXELS, SIZE_UNIT_PX, textToImageParamsSchema } from '#shared/protocol/messages.ts';
import type { GenerateParams } from '../client/create-job.ts';
import { expandPrompt, MAX_IMAGES } from './expand-prompt.ts';
import { plainNumber } from './plain-number.ts';

/** The contents of the form. Numbers are kept as typed, so an invalid one stays visible and can be explained. */
export const draftSchema = z.object({
  prompt: z.string(),
  width: z.string(),
  height: z.string(),
  steps: z.string(),
  guidanceScale: z.string(),
  seed: z.string(),
  seedMode: z.enum(['random', 'fixed']),
  count: z.string(),
  modelType: modelTypeSchema,
  /** Whether the prompt stands for several ones; see `expandPrompt`. */
  usesPatterns: z.boolean().default(false),
  usesLines: z.boolean().default(false),
  /** Times the size of the second image, or none. */
  upscale: z.enum(['4', '2', 'off']).default('4'),
  /** Used where guidance is on. */
  negativePrompt: z.string().default(''),
});
export type Draft = z.infer<typeof draftSchema>;

/** 512 x 512 is the size at which the bundled checkpoint draws most clearly. */
export const firstDraft: Draft = {
  prompt: '',
  width: '512',
  height: '512',
  steps: '9',
  guidanceScale: '0',
  seed: '42',
  seedMode: 'random',
  count: '1',
  modelType: 'uint4',
  usesPatterns: false,
  usesLines: false,
  upscale: '4',
  negativePrompt: '',
};

export interface NumberRange {
  min: number;
  max: number;
}

const { shape } = textToImageParamsSchema;

/** The contract's limits, taken from its schema. */
export const limits = {
  promptCharacters: shape.prompt.maxLength ?? Number.POSITIVE_INFINITY,
  sidePx: rangeOf(shape.width.unwrap()),
  sideUnitPx: SIZE_UNIT_PX,
  pixels: MAX_PICTURE_PIXELS,
  steps: rangeOf(shape.steps.unwrap()),
  guidanceScale: rangeOf(shape.guidance_scale.unwrap()),
  seed: rangeOf(shape.seed.unwrap()),
  count: { min: 1, max: 16 },
};

/** The limits of a schema; infinite if it has none. */
export function rangeOf(schema: { minValue: number | null; maxValue: number | null }): NumberRange {
  return { min: schema.minValue ?? Number.NEGATIVE_INFINITY, max: schema.maxValue ?? Number.POSITIVE_INFINITY };
}

export type DraftField = 'prompt' | 'width' | 'height' | 'steps' | 'guidanceScale' | 'seed' | 'count';

/** Why a field is invalid; each language has a message for it. */
export type Problem =
  | { kind: 'promptEmpty' }
  | { kind: 'promptLong'; max: number; length: number }
  | { kind: 'tooManyImages'; max: number; count: number }
  | { kind: 'notWhole'; min: number; max: number }
  | { kind: 'notNumber'; min: number; max: number }
  | { kind: 'notMultiple'; unit: number; below: number; above: number }
  | { kind: 'tooManyPixels'; max: number };

export type Problems = Partial<Record<DraftField, Problem>>;

/** The values to send, or the problem of each invalid field. */
export type CheckedDraft = { ok: true; params: TextToImageParams; prompts: readonly string[]; count: number } | { ok: false; problems: Problems };

export function checkDraft(draft: Draft): CheckedDraft {
  const problems: Problems = {};
  const note = (field: DraftField, problem: Problem | null) => {
    if (problem !== null) problems[field] = problem;
  };

  if (draft.prompt.trim() === '') note('prompt', { kind: 'promptEmpty' });
  const { prompts, count: promptCount } = expandPrompt(draft.prompt, draft);
  const longest = Math.max(...prompts.map(({ length }) => length));
  if (longest > limits.promptCharacters) note('prompt', { kind: 'promptLong', max: limits.promptCharacters, length: longest });
  note('width', sideProblem(draft.width));
  note('height', sideProblem(draft.height));
  note('steps', wholeProblem(draft.steps, limits.steps));
  note('count', wholeProblem(draft.count, limits.count));
  const count = promptCount * numberOf(draft.count);
  if (count > MAX_IMAGES) note('prompt', { kind: 'tooManyImages', max: MAX_IMAGES, count });
  note('guidanceScale', decimalProblem(draft.guidanceScale, limits.guidanceScale));
  if (draft.seedMode === 'fixed') note('seed', wholeProblem(draft.seed, limits.seed));

  const width = numberOf(draft.width);
  const height = numberOf(draft.height);
  if (!problems.width && !problems.height && width * height > limits.pixels) note('width', { kind: 'tooManyPixels', max: limits.pixels });
  if (Object.keys(problems).length > 0) return { ok: false, problems };

  const params: TextToImageParams = {
    prompt: draft.prompt,
    width,
    height,
    steps: numberOf(draft.steps),
    guidance_scale: numberOf(draft.guidanceScale),
    seed: draft.seedMode === 'fixed' ? numberOf(draft.seed) : 0,
    model_type: draft.modelType,
    ...(draft.upscale === '4' ? {} : { upscale: draft.upscale === '2' ? 2 : false }),
    ...(draft.negativePrompt.trim() === '' || !usesNegativePrompt(draft) ? {} : { negative_prompt: draft.negativePrompt }),
  };
  return { ok: true, params, prompts, count: numberOf(draft.count) };
}

/** Without guidance the model never sees a negative prompt. */
export function usesNegativePrompt({ guidanceScale }: Pick<Draft, 'guidanceScale'>): boolean {
  return numberOf(guidanceScale) > 0;
}

/** How many images the form asks for. NaN while the number field is invalid. */
export function imageCount(draft: Draft): number {
  return expandPrompt(draft.prompt, draft).count * numberOf(draft.count);
}

/** NaN for anything but a plain decimal number. */
export function numberOf(text: string): number {
  const plain = plainNumber(text);
  return /^\d+(\.\d+)?$/.test(plain) ? Number(plain) : Number.NaN;
}

function wholeProblem(text: string, range: NumberRange): Problem | null {
  const value = numberOf(text);
  return Number.isInteger(value) && value >= range.min && value <= range.max ? null : { kind: 'notWhole', ...range };
}

function decimalProblem(text: string, range: NumberRange): Problem | null {
  const value = numberOf(text);
  return value >= range.min && value <= range.max ? null : { kind: 'notNumber', ...range };
}

function sideProblem(text: string): Problem | null {
  const outside = wholeProblem(text, limits.sidePx);
  if (outside !== null) return outside;
  const value = numberOf(text);
  const unit = limits.sideUnitPx;
  const below = Math.floor(value / unit) * unit;
  return value === below ? null : { kind: 'notMultiple', unit, below, above: below + unit };
}

/** The form's fields for known parameters; the other fields keep their values. Sides are rounded to the nearest allowed size. */
export function draftFromParams({ masked_size, ...params }: Partial<GenerateParams>): Partial<Draft> {
  const { prompt, width, height, steps, guidance_scale, seed, model_type, upscale } = { ...params, ...masked_size };
  return {
    ...(prompt === undefined ? {} : { prompt }),
    ...(width === undefined ? {} : { width: String(nearestSide(width)) }),
    ...(height === undefined ? {} : { height: String(nearestSide(height)) }),
    ...(steps === undefined ? {} : { steps: String(Math.min(limits.steps.max, Math.max(limits.steps.min, steps))) }),
    ...(guidance_scale === undefined ? {} : { guidanceScale: String(guidance_scale) }),
    ...(seed === undefined ? {} : { seed: String(seed), seedMode: 'fixed' }),
    ...(model_type === undefined ? {} : { modelType: model_type }),
    // words of an image are drawn as they stand
    ...(prompt === undefined ? {} : { usesPatterns: false, usesLines: false, negativePrompt: params.negative_prompt ?? '' }),
    ...(upscale === undefined ? {} : { upscale: upscale === 2 ? '2' : 'off' }),
    count: '1',
  };
}

/** The form's fields for unchecked values, named as in the contract; unknown names are ignored. */
export function draftFromTyped(params: Readonly<Record<string, string | number>>): Partial<Draft> {
  const typed = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]));
  const { prompt, width, height, steps, guidance_scale, seed } = typed;
  const modelType = modelTypeSchema.safeParse(typed['model_type']).data;
  return {
    ...(prompt === undefined ? {} : { prompt }),
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    ...(steps === undefined ? {} : { steps }),
    ...(guidance_scale === undefined ? {} : { guidanceScale: guidance_scale }),
    ...(seed === undefined ? {} : { seed, seedMode: 'fixed' }),
    ...(modelType === undefined ? {} : { modelType }),
  };
}

function nearestSide(sidePx: number): number {
  return Math.min(limits.sidePx.max, Math.max(limits.sidePx.min, Math.round(sidePx / limits.sideUnitPx) * limits.sideUnitPx));
}

/** `count` consecutive seeds from `first`; the largest seed is followed by 0. */
export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => (limits.seed.max - first >= index ? first + index : index - (limits.seed.max - first) - 1));
}
