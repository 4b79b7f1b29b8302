import { expect, test } from 'vitest';
import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import { createSessionPool, type SessionPool } from './session-pool.ts';

const roles = new Map([
  ['textEncoder', 'text'],
  ['captionRefiner', 'text'],
  ['vaeEncoder', 'brief'],
  ['denoiser', 'denoiser'],
  ['vaeDecoder', 'decoder'],
] as const);

function pooled(plan: MemoryPlan): { pool: SessionPool<string>; seen: string[]; image(): Promise<void> } {
  const seen: string[] = [];
  const load = async (part: string, place: 'device' | 'cpu') => {
    seen.push(`+${part}${place === 'cpu' ? ' on the CPU' : ''}`);
    return {
      run: async () => ({}),
      release: async () => {
        seen.push(`-${part}`);
      },
    };
  };
  const pool = createSessionPool<string>(roles, load, plan);
  const image = async (): Promise<void> => {
    for (const part of ['textEncoder', 'captionRefiner', 'denoiser', 'denoiser', 'vaeDecoder'] as const) await pool.session(part).run({});
    seen.push('image');
  };
  return { pool, seen, image };
}

test.for<[MemoryPlan, string]>([
  ['resident', '+textEncoder +captionRefiner +denoiser +vaeDecoder image image'],
  [
    'text_freed',
    '+denoiser +vaeDecoder +textEncoder -textEncoder +captionRefiner -captionRefiner image +textEncoder -textEncoder +captionRefiner -captionRefiner image',
  ],
  ['text_on_cpu', '+textEncoder on the CPU +captionRefiner on the CPU +denoiser +vaeDecoder image image'],
  [
    'in_turn',
    '+textEncoder -textEncoder +captionRefiner -captionRefiner +denoiser -denoiser +vaeDecoder image -vaeDecoder +textEncoder -textEncoder +captionRefiner -captionRefiner +denoiser -denoiser +vaeDecoder image',
  ],
  [
    'denoiser_alone',
    '+denoiser +textEncoder on the CPU -textEncoder +captionRefiner on the CPU -captionRefiner +vaeDecoder on the CPU image -vaeDecoder +textEncoder on the CPU -textEncoder +captionRefiner on the CPU -captionRefiner +vaeDecoder on the CPU image',
  ],
])('%s: what two images load and release', async ([plan, order]) => {
  const { pool, seen, image } = pooled(plan);
  await pool.follow(plan);
  await image();
  await image();
  expect(seen.join(' ')).toBe(order);
});

test('another plan moves what stands in the wrong place and loads what it keeps', async () => {
  const { pool, seen, image } = pooled('resident');
  await pool.follow('resident');
  await image();
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
  const pool = createSessionPool(
    roles,
    async () => {
      if (isBroken) throw new Error('no memory');
      return { run: async () => ({ out: Float32Array.of(1) }), release: async () => {} };
    },
    'in_turn',
  );
  await expect(pool.session('denoiser').run({})).rejects.toThrow('no memory');
  isBroken = false;
  expect(await pool.session('denoiser').run({})).toEqual({ out: Float32Array.of(1) });
});

test.for<[MemoryPlan, string]>([
  ['resident', '+textEncoder +captionRefiner +denoiser +vaeDecoder image +vaeEncoder -vaeEncoder'],
  ['denoiser_alone', '+vaeEncoder on the CPU -vaeEncoder'],
])("%s: the VAE's encoder is loaded for the image that needs it, and leaves before the denoiser runs", async ([plan, order]) => {
  const { pool, seen, image } = pooled(plan);
  await pool.follow(plan);
  if (plan === 'resident') await image();
  else seen.length = 0;
  await pool.session('vaeEncoder').run({});
  await pool.session('denoiser').run({});
  expect(seen.join(' ')).toBe(order);
});
