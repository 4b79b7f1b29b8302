import { expect, test } from 'vitest';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { createSessionPool, type SessionPool } from './session-pool.ts';

function pooled(plan: MemoryPlan): { pool: SessionPool; seen: string[]; picture(): Promise<void> } {
  const seen: string[] = [];
  const pool = createSessionPool(async (part, place) => {
    seen.push(`+${part}${place === 'cpu' ? ' on the CPU' : ''}`);
    return {
      run: async () => ({}),
      release: async () => {
        seen.push(`-${part}`);
      },
    };
  }, plan);
  const picture = async (): Promise<void> => {
    for (const part of ['textEncoder', 'captionRefiner', 'denoiser', 'denoiser', 'vaeDecoder'] as const) await pool.session(part).run({});
    seen.push('picture');
  };
  return { pool, seen, picture };
}

test.for<[MemoryPlan, string]>([
  ['resident', '+textEncoder +captionRefiner +denoiser +vaeDecoder picture picture'],
  [
    'text_freed',
    '+denoiser +vaeDecoder +textEncoder -textEncoder +captionRefiner -captionRefiner picture +textEncoder -textEncoder +captionRefiner -captionRefiner picture',
  ],
  ['text_on_cpu', '+textEncoder on the CPU +captionRefiner on the CPU +denoiser +vaeDecoder picture picture'],
  [
    'in_turn',
    '+textEncoder -textEncoder +captionRefiner -captionRefiner +denoiser -denoiser +vaeDecoder picture -vaeDecoder +textEncoder -textEncoder +captionRefiner -captionRefiner +denoiser -denoiser +vaeDecoder picture',
  ],
  [
    'denoiser_alone',
    '+denoiser +textEncoder on the CPU -textEncoder +captionRefiner on the CPU -captionRefiner +vaeDecoder on the CPU picture -vaeDecoder +textEncoder on the CPU -textEncoder +captionRefiner on the CPU -captionRefiner +vaeDecoder on the CPU picture',
  ],
])('%s: what two pictures load and release', async ([plan, order]) => {
  const { pool, seen, picture } = pooled(plan);
  await pool.follow(plan);
  await picture();
  await picture();
  expect(seen.join(' ')).toBe(order);
});

test('another plan moves what stands in the wrong place and loads what it keeps', async () => {
  const { pool, seen, picture } = pooled('resident');
  await pool.follow('resident');
  await picture();
  seen.length = 0;
  await pool.follow('denoiser_alone');
  expect(seen).toEqual(['-textEncoder', '-captionRefiner', '-vaeDecoder']);
  expect([pool.keeps('denoiser'), pool.keeps('vaeDecoder')]).toEqual([true, false]);
  await pool.follow('resident');
  expect(seen.slice(3)).toEqual(['+textEncoder', '+captionRefiner', '+vaeDecoder']);
  await pool.release();
  expect(seen.slice(6).sort()).toEqual(['-captionRefiner', '-denoiser', '-textEncoder', '-vaeDecoder']);
});

test('a part that cannot be loaded is tried again', async () => {
  let isBroken = true;
  const pool = createSessionPool(async () => {
    if (isBroken) throw new Error('no memory');
    return { run: async () => ({ out: Float32Array.of(1) }), release: async () => {} };
  }, 'in_turn');
  await expect(pool.session('denoiser').run({})).rejects.toThrow('no memory');
  isBroken = false;
  expect(await pool.session('denoiser').run({})).toEqual({ out: Float32Array.of(1) });
});
