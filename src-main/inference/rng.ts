const STATE_WORDS = 624;
const MIDDLE_WORD = 397;
const BLOCK = 16;
const { fround } = Math;

/**
 * `torch.randn(count, generator=torch.Generator("cpu").manual_seed(seed))` in float32, within 3e-7 (torch approximates log, sin and cos).
 * Seeds are integers from 0 to 2^53 - 1, of which torch's CPU generator takes the low 32 bits. Throws `RangeError` for less than 16 values,
 * which torch draws in another way.
 * Source: https://github.com/pytorch/pytorch, `aten/src/ATen/native/cpu/DistributionTemplates.h`, `normal_fill`.
 */
export function torchRandn(seed: number, count: number): Float32Array {
  if (!Number.isSafeInteger(count) || count < BLOCK) throw new RangeError(`${count} random values were asked for; at least ${BLOCK} can be drawn`);
  const draw = mersenneTwister(seed);
  const uniform = (): number => (draw() & 0xffffff) * 2 ** -24;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = uniform();
  for (let start = 0; start + BLOCK <= count; start += BLOCK) normalizeBlock(values, start);
  if (count % BLOCK !== 0) {
    // a last block that is not full is drawn again together with the values before it
    for (let i = count - BLOCK; i < count; i++) values[i] = uniform();
    normalizeBlock(values, count - BLOCK);
  }
  return values;
}

/** 16 uniform values from `start` on to 16 normal ones in place, by Box-Muller on the pairs (i, i + 8); each step is rounded to float32. */
function normalizeBlock(values: Float32Array, start: number): void {
  const half = BLOCK / 2;
  for (let i = start; i < start + half; i++) {
    const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(fround(1 - (values[i] as number)))))));
    const angle = fround(fround(2 * Math.PI) * (values[i + half] as number));
    values[i] = radius * fround(Math.cos(angle));
    values[i + half] = radius * fround(Math.sin(angle));
  }
}

/**
 * MT19937, one 32-bit draw a call.
 * Source: M. Matsumoto, T. Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number generator", 1998.
 */
function mersenneTwister(seed: number): () => number {
  const state = new Uint32Array(STATE_WORDS);
  state[0] = seed % 2 ** 32;
  for (let i = 1; i < STATE_WORDS; i++) {
    const previous = state[i - 1] as number;
    state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
  }
  let next = STATE_WORDS;
  return () => {
    if (next === STATE_WORDS) {
      twist(state);
      next = 0;
    }
    let word = state[next++] as number;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < STATE_WORDS; i++) {
    const joined = ((state[i] as number) & 0x80000000) | ((state[(i + 1) % STATE_WORDS] as number) & 0x7fffffff);
    const far = state[(i + MIDDLE_WORD) % STATE_WORDS] as number;
    state[i] = far ^ (joined >>> 1) ^ ((joined & 1) === 0 ? 0 : 0x9908b0df);
  }
}
