import { type CompiledCheckpoint, type GraphMemory, MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import type { MemoryChoice, MemoryPlan, PlannedMemory } from '#shared/domain/memory-plan.ts';
import { memoryPlanSchema } from '#shared/domain/memory-plan.ts';

/** The parts of a checkpoint, in the order in which they run. */
export const parts = ['textEncoder', 'captionRefiner', 'vaeEncoder', 'denoiser', 'vaeDecoder'] as const;
export type Part = (typeof parts)[number];

/** Where a part runs and whether it stays loaded when another one runs. */
export interface Placement {
  place: 'device' | 'cpu';
  stays: boolean;
}

const stays: Placement = { place: 'device', stays: true };
const leaves: Placement = { place: 'device', stays: false };
const leavesCpu: Placement = { place: 'cpu', stays: false };

/** What each plan does with each part. The VAE's encoder is small and needed only for images that start from one, so no plan keeps it. */
export const placements: Readonly<Record<MemoryPlan, Readonly<Record<Part, Placement>>>> = {
  resident: { textEncoder: stays, captionRefiner: stays, vaeEncoder: leaves, denoiser: stays, vaeDecoder: stays },
  text_freed: { textEncoder: leaves, captionRefiner: leaves, vaeEncoder: leaves, denoiser: stays, vaeDecoder: stays },
  text_on_cpu: {
    textEncoder: { place: 'cpu', stays: true },
    captionRefiner: { place: 'cpu', stays: true },
    vaeEncoder: leaves,
    denoiser: stays,
    vaeDecoder: stays,
  },
  in_turn: { textEncoder: leaves, captionRefiner: leaves, vaeEncoder: leaves, denoiser: leaves, vaeDecoder: leaves },
  denoiser_alone: { textEncoder: leavesCpu, captionRefiner: leavesCpu, vaeEncoder: leavesCpu, denoiser: stays, vaeDecoder: leavesCpu },
};

/** Bytes of one part: its weights, and what its run takes beside them. */
export interface PartNeed {
  loadedBytes: number;
  runningBytes: number;
}
export type MemoryNeeds = Readonly<Record<Part, PartNeed>>;

export interface FreeMemory {
  ramBytes: number;
  /** Of the card that models run on; null on the CPU or where the driver does not report it. */
  cardBytes: number | null;
}

/**
 * Measured over computed: ONNX Runtime's arena grows by doubling, and kernels have their own scratch. The bundled checkpoint took 1.8 times as much at 512 and
 * at 1024 pixels and 2.6 times at 1536, which the reserve makes up for; `npm run bench -- fullsize` holds the whole to it.
 */
const RUNNING_FACTOR = 2;
/** Node.js, the images on their way to the disk, and a little for the others. */
const RAM_RESERVE = 0.6e9;
/** The context, cuBLAS and cuDNN. */
const CARD_RESERVE = 0.8e9;
/** A plan that is to help after another one failed needs at most this share of it. */
const CLEARLY_LESS = 0.9;

const NOTHING: PartNeed = { loadedBytes: 0, runningBytes: 0 };

/** What an image of this size takes of each part; sizes in pixels. The VAE's encoder takes nothing where no image `isEncoded`. */
export function memoryNeeds(compiled: CompiledCheckpoint, { width, height }: { width: number; height: number }, isEncoded = false): MemoryNeeds {
  const latentPixels = Math.ceil(width / compiled.vaeScale) * Math.ceil(height / compiled.vaeScale);
  const units: Record<Part, number> = {
    textEncoder: MAX_PROMPT_TOKENS,
    captionRefiner: MAX_PROMPT_TOKENS,
    vaeEncoder: latentPixels,
    denoiser: latentPixels / compiled.patchSize ** 2,
    vaeDecoder: latentPixels,
  };
  const need = (part: Part): PartNeed => {
    const graph = compiled[part];
    if (graph === null) return NOTHING;
    const { loadedBytes, runningBytes } = graph.memory;
    return { loadedBytes, runningBytes: RUNNING_FACTOR * (runningBytes.fixed + runningBytes.perUnit * units[part]) };
  };
  return {
    textEncoder: need('textEncoder'),
    captionRefiner: need('captionRefiner'),
    vaeEncoder: isEncoded ? need('vaeEncoder') : NOTHING,
    denoiser: need('denoiser'),
    vaeDecoder: need('vaeDecoder'),
  };
}

/** The plan to begin with, and the next one that needs clearly less if memory runs out anyway; null where no such plan exists. */
export interface MemoryDecision extends PlannedMemory {
  next: MemoryPlan | null;
}

/**
 * The first plan that fits into what is free, or the one that needs least where none does; `choice` overrides. A card that does not report its memory begins
 * with all parts loaded. `onCard` is false where models run on the CPU: plans that move parts there do not exist then.
 */
export function planMemory(needs: MemoryNeeds, free: FreeMemory, onCard: boolean, choice: MemoryChoice = 'auto'): MemoryDecision {
  const possible = memoryPlanSchema.options.filter((plan) => onCard || parts.every((part) => placements[plan][part].place === 'device'));
  const needOf = (plan: MemoryPlan): { device: number; ram: number } => ({
    device: peakBytes(plan, needs, 'device', onCard) + (onCard ? CARD_RESERVE : RAM_RESERVE),
    ram: onCard ? peakBytes(plan, needs, 'cpu', false) + RAM_RESERVE : 0,
  });
  const freeBytes = onCard ? free.cardBytes : free.ramBytes;
  const fits = (plan: MemoryPlan): boolean => needOf(plan).device <= (freeBytes ?? Number.POSITIVE_INFINITY) && needOf(plan).ram <= free.ramBytes;
  const least = possible.toSorted((a, b) => needOf(a).device - needOf(b).device)[0] ?? 'in_turn';
  // a plan that was chosen for a card that was given up leaves the least to the CPU
  const plan = choice === 'auto' ? (possible.find(fits) ?? least) : possible.includes(choice) ? choice : 'in_turn';
  const needBytes = needOf(plan).device;
  const below = possible.slice(possible.indexOf(plan) + 1);
  return { plan, needBytes, freeBytes, next: below.find((other) => needOf(other).device <= CLEARLY_LESS * needBytes) ?? null };
}

/** To how many bytes the memory of one session on a card may grow, so that a plan that was reckoned too small fails and not the driver; null where nothing is known. */
export function arenaBytesFor({ needBytes, freeBytes }: PlannedMemory): number | null {
  return freeBytes === null ? null : Math.max(needBytes, freeBytes) - CARD_RESERVE;
}

const SMALLEST_TILE_PIXELS = 64 * 64;

/** How many input pixels an upscaler's tile may keep: as many as fit into half of what is free. */
export function tilePixelsFor({ runningBytes }: GraphMemory, { ramBytes, cardBytes }: FreeMemory): number {
  const room = (cardBytes ?? ramBytes) / 2 - RUNNING_FACTOR * runningBytes.fixed;
  return Math.max(SMALLEST_TILE_PIXELS, Math.floor(room / (RUNNING_FACTOR * runningBytes.perUnit)));
}

/**
 * The fullest moment of an image in one place: what stays there, what runs, and its run. On a card, the arena of a denoiser that stays keeps the memory of its
 * runs; the other parts give theirs back.
 */
function peakBytes(plan: MemoryPlan, needs: MemoryNeeds, place: Placement['place'], keepsRuns: boolean): number {
  const here = parts.filter((part) => placements[plan][part].place === place);
  const moments = here.map((running) => {
    const loaded = here.filter((part) => part === running || placements[plan][part].stays);
    const kept = keepsRuns && running !== 'denoiser' && placements[plan].denoiser.stays ? needs.denoiser.runningBytes : 0;
    return kept + needs[running].runningBytes + loaded.reduce((sum, part) => sum + needs[part].loadedBytes, 0);
  });
  return Math.max(0, ...moments);
}
