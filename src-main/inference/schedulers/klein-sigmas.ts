const { fround } = Math;

/** Images of more tokens are shifted by the line for many steps alone. */
const MANY_TOKENS = 4300;

/**
 * Noise levels of a run, float32, from 1 down to 0: `steps` forwards go from each to the next. The shift depends on the tokens of the image that is made;
 * references do not count. Reference: diffusers 0.42.1, `compute_empirical_mu` of `pipelines/flux2/pipeline_flux2_klein.py`, and the exponential
 * time shift of `schedulers/scheduling_flow_match_euler_discrete.py`.
 */
export function kleinSigmas(steps: number, imageTokens: number): Float32Array {
  const shift = fround(Math.exp(shiftOf(steps, imageTokens)));
  return Float32Array.from({ length: steps + 1 }, (_, i) => {
    if (i === steps) return 0;
    const even = fround(steps === 1 ? 1 : 1 + (i * (1 / steps - 1)) / (steps - 1));
    return fround(shift / fround(shift + fround(fround(1 / even) - 1)));
  });
}

/** A line through what was found best for 10 and for 200 steps. */
function shiftOf(steps: number, imageTokens: number): number {
  const ofMany = 0.00016927 * imageTokens + 0.45666666;
  if (imageTokens > MANY_TOKENS) return ofMany;
  const ofFew = 8.73809524e-5 * imageTokens + 1.89833333;
  const slope = (ofMany - ofFew) / 190;
  return slope * steps + ofMany - 200 * slope;
}
