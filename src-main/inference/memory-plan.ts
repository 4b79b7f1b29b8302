import {
  type CompiledCheckpoint,
  type CompiledGraph,
  type CompiledPart,
  type DenoiserVariant,
  type GraphMemory,
  MAX_PROMPT_TOKENS,
  type PartRole,
  type PartUnit,
  partRoles,
} from '#main/lib/compiled.ts';
import type { MemoryChoice, MemoryPlan, PlannedMemory } from '#shared/domain/memory-plan.ts';
import { memoryPlanSchema } from '#shared/domain/memory-plan.ts';

/** Where a part runs and whether it stays loaded when another one runs. */
export interface Placement {
  place: 'device' | 'cpu';
  stays: boolean;
}

const stays: Placement = { place: 'device', stays: true };
const leaves: Placement = { place: 'device', stays: false };
const leavesCpu: Placement = { place: 'cpu', stays: false };

/** What each plan does with the parts of each role. What runs once a job loads fast, so no plan keeps it. */
export const placements: Readonly<Record<MemoryPlan, Readonly<Record<PartRole, Placement>>>> = {
  resident: { text: stays, brief: leaves, denoiser: stays, decoder: stays },
  text_freed: { text: leaves, brief: leaves, denoiser: stays, decoder: stays },
  text_on_cpu: { text: { place: 'cpu', stays: true }, brief: leaves, denoiser: stays, decoder: stays },
  in_turn: { text: leaves, brief: leaves, denoiser: leaves, decoder: leaves },
  denoiser_alone: { text: leavesCpu, brief: leavesCpu, denoiser: stays, decoder: leavesCpu },
};

/** Bytes of one part: its weights, and what its run takes beside them. */
export interface PartNeed {
  role: PartRole;
  loadedBytes: number;
  runningBytes: number;
}
/** In the order in which the parts run. */
export type MemoryNeeds = readonly PartNeed[];

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

interface Size {
  width: number;
  height: number;
}

/** What an image of this size takes of each part; sizes in pixels. `encoded` are the images that the VAE encodes for it. */
export function memoryNeeds(compiled: CompiledCheckpoint, size: Size, encoded: readonly Size[] = [], variant: DenoiserVariant | null = null): MemoryNeeds {
  const latentPixels = ({ width, height }: Size): number => Math.ceil(width / compiled.vaeScale) * Math.ceil(height / compiled.vaeScale);
  const tokens = (image: Size): number => latentPixels(image) / compiled.patchSize ** 2;
  const units: Record<PartUnit, number> = {
    promptTokens: MAX_PROMPT_TOKENS,
    imageTokens: tokens(size),
    sequenceTokens: [size, ...encoded].reduce((sum, image) => sum + tokens(image), 0),
    latentPixels: latentPixels(size),
    encodedPixels: Math.max(0, ...encoded.map(latentPixels)),
    none: 0,
  };
  const replaced: Readonly<Record<string, CompiledGraph>> = variant?.graphs ?? {};
  const parts: readonly [string, CompiledPart | null][] = Object.entries(compiled.parts);
  return parts.flatMap(([name, part]): PartNeed[] => {
    // a part that counts encoded images is not loaded without one
    if (part === null || (part.unit === 'encodedPixels' && encoded.length === 0)) return [];
    const { loadedBytes, runningBytes } = (replaced[name] ?? part.graph).memory;
    return [{ role: part.role, loadedBytes, runningBytes: RUNNING_FACTOR * (runningBytes.fixed + runningBytes.perUnit * units[part.unit]) }];
  });
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
  const possible = memoryPlanSchema.options.filter((plan) => onCard || partRoles.every((role) => placements[plan][role].place === 'device'));
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
  const here = needs.filter(({ role }) => placements[plan][role].place === place);
  const denoiserRun = Math.max(0, ...needs.map(({ role, runningBytes }) => (role === 'denoiser' ? runningBytes : 0)));
  const moments = here.map((running) => {
    const loaded = here.filter((part) => part === running || placements[plan][part.role].stays);
    const kept = keepsRuns && running.role !== 'denoiser' && placements[plan].denoiser.stays ? denoiserRun : 0;
    return kept + running.runningBytes + loaded.reduce((sum, part) => sum + part.loadedBytes, 0);
  });
  return Math.max(0, ...moments);
}
