import { expect, test } from 'vitest';
import type { PartRole } from '#main/lib/compiled.ts';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { type MemoryNeeds, type PartNeed, planMemory, tilePixelsFor } from './memory-plan.ts';

const gigabytes = (role: PartRole, loaded: number, running: number): PartNeed => ({ role, loadedBytes: loaded * 1e9, runningBytes: running * 1e9 });

/** About what Z-Image-Turbo in uint4 takes, by the side of the image. */
const needs: Record<number, MemoryNeeds> = {
  1024: [gigabytes('text', 2.4, 0.1), gigabytes('text', 0.3, 0.1), gigabytes('denoiser', 3.9, 0.8), gigabytes('decoder', 0.2, 3.5)],
  2048: [gigabytes('text', 2.4, 0.1), gigabytes('text', 0.3, 0.1), gigabytes('denoiser', 3.9, 3), gigabytes('decoder', 0.2, 14)],
};
const needsOf = (side: number): MemoryNeeds => needs[side] ?? expect.fail(`no needs for ${side}`);

// 0.8 GB of a card are kept for the context and libraries, so 8 GB with 7.6 free leave 6.8; a denoiser that stays keeps the memory of its runs
test.for<[card: number, free: number, side: number, plan: MemoryPlan, need: number]>([
  [24, 23.4, 1024, 'resident', 11.9],
  [16, 15.3, 1024, 'resident', 11.9],
  [12, 11.4, 1024, 'text_freed', 9.2],
  [10, 9.4, 1024, 'text_freed', 9.2],
  [8, 7.6, 1024, 'in_turn', 5.5],
  [6, 5.6, 1024, 'in_turn', 5.5],
  [24, 23.4, 2048, 'text_freed', 21.9],
  [16, 15.3, 2048, 'in_turn', 15],
  [12, 11.4, 2048, 'denoiser_alone', 7.7],
  [8, 7.6, 2048, 'denoiser_alone', 7.7],
])('a card of %i GB with %f free, side %i: %s, %f GB', ([, free, side, plan, need]) => {
  const decision = planMemory(needsOf(side), { ramBytes: 32e9, cardBytes: free * 1e9 }, true);
  expect(decision.plan).toBe(plan);
  expect(decision.needBytes / 1e9).toBeCloseTo(need, 5);
  expect(decision.freeBytes).toBe(free * 1e9);
});

test('what would move to the CPU has to fit into RAM too', () => {
  const card = { cardBytes: 8.2e9 };
  const large = [gigabytes('text', 6, 0.1), gigabytes('text', 0.3, 0.1), gigabytes('denoiser', 3.9, 0.8), gigabytes('decoder', 0.2, 2)];
  expect(planMemory(large, { ...card, ramBytes: 8e9 }, true).plan).toBe('text_on_cpu');
  expect(planMemory(large, { ...card, ramBytes: 4e9 }, true).plan).toBe('in_turn');
});

// 0.6 GB are kept for Node.js and others; nothing can move to the CPU from the CPU
test.for<[free: number, side: number, plan: MemoryPlan, next: MemoryPlan | null]>([
  [32, 1024, 'resident', 'text_freed'],
  [11, 1024, 'resident', 'text_freed'],
  [10, 1024, 'text_freed', 'in_turn'],
  [8, 1024, 'in_turn', null],
  [4, 1024, 'in_turn', null],
  [20, 2048, 'text_freed', 'in_turn'],
])('%f GB of RAM, side %i: %s, then %s', ([free, side, plan, next]) => {
  expect(planMemory(needsOf(side), { ramBytes: free * 1e9, cardBytes: null }, false)).toMatchObject({ plan, next });
});

test('a card that does not report its memory begins with everything loaded', () => {
  expect(planMemory(needsOf(1024), { ramBytes: 16e9, cardBytes: null }, true)).toMatchObject({ plan: 'resident', freeBytes: null, next: 'text_freed' });
});

test('a plan that was chosen is taken whether it fits or not, and the next one needs clearly less', () => {
  const free = { ramBytes: 32e9, cardBytes: 4e9 };
  expect(planMemory(needsOf(1024), free, true, 'resident')).toMatchObject({ plan: 'resident', next: 'text_freed' });
  // the text encoder beside the rest is not the fullest moment of a large image, so freeing it helps little
  expect(planMemory(needsOf(2048), free, true, 'text_freed')).toMatchObject({ plan: 'text_freed', next: 'in_turn' });
  expect(planMemory(needsOf(1024), free, true, 'denoiser_alone')).toMatchObject({ plan: 'denoiser_alone', next: null });
  expect(planMemory(needsOf(1024), { ramBytes: 32e9, cardBytes: null }, false, 'denoiser_alone')).toMatchObject({ plan: 'in_turn', next: null });
});

// a run is counted twice: half of 0.8 GB hold 20,000 pixels of 2 x 10,000 bytes
test('an upscaler gets tiles of what fits into half of what is free, and never tiny ones', () => {
  const memory = { loadedBytes: 0, runningBytes: { fixed: 0, perUnit: 10_000 } };
  const tile = (bytes: number) => tilePixelsFor(memory, { ramBytes: 1e12, cardBytes: bytes });
  expect(tile(20e9)).toBe(500_000);
  expect(tile(0.8e9)).toBe(20_000);
  expect(tile(1e6)).toBe(64 * 64);
  expect(tilePixelsFor(memory, { ramBytes: 0.8e9, cardBytes: null })).toBe(20_000);
});
