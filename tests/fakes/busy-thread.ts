import { constants, setPriority } from 'node:os';

/** A thread that multiplies matrices without end: a core's worth of real work, at the priority of the model thread (`src-main/engine/model-thread.ts`). */
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

const SIDE = 256;
const [a, b, product] = [random(), random(), new Float32Array(SIDE * SIDE)];

for (;;) {
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      let sum = 0;
      for (let i = 0; i < SIDE; i++) sum += (a[row * SIDE + i] ?? 0) * (b[i * SIDE + column] ?? 0);
      product[row * SIDE + column] = sum;
    }
  }
}

function random(): Float32Array {
  return Float32Array.from({ length: SIDE * SIDE }, () => Math.random());
}
