import type { Devices } from '#shared/domain/device.ts';

/** Diagnostics for a bug report: the facts that `npm run doctor` prints, always in English. */
export function deviceReport({ gpus, devices, onnxruntime }: Devices): string {
  return [
    `ONNX Runtime ${onnxruntime}`,
    ...gpus.map(({ name, driver, compute_capability }) => `${name}: driver ${driver}, compute capability ${compute_capability ?? 'unknown'}`),
    ...devices.flatMap(({ provider, state, milliseconds, active, reason, needs, known_faults }) => [
      `${provider}: ${state}${milliseconds === null ? '' : `, ${milliseconds} ms`}${active ? ', in use' : ''}. ${reason}`,
      ...(state === 'works' ? [] : [`  It needs ${needs}.`]),
      ...known_faults.map((fault) => `  Known: ${fault}`),
    ]),
  ].join('\n');
}
