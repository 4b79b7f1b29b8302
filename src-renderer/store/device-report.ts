import type { Devices } from '#shared/domain/device.ts';

/** For the report of a fault: the same facts as `npm run doctor` prints, in English whatever the window speaks. */
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
