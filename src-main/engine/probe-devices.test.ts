import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entryFile } from '#main/lib/program-files.ts';
import { type Device, deviceParts, type Gpu } from '#shared/domain/device.ts';
import { ScriptedProcess } from '../../tests/fakes/scripted-process.ts';
import { detectNvidia, firstLoadNotice, parseNvidiaSmi, unsupportedReason } from './nvidia.ts';
import { createDeviceProbes, type DeviceProbesOptions } from './probe-devices.ts';
import { createNodeSpawn } from './spawn-node.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'devices-'));
});
afterEach(() => rm(dir, { recursive: true }));

const turing: Gpu = { name: 'NVIDIA GeForce RTX 2070', driver: '580.65.06', compute_capability: '7.5', total_bytes: 8 * 2 ** 30, free_bytes: 7 * 2 ** 30 };

function optionsWith(change: Partial<DeviceProbesOptions>): DeviceProbesOptions {
  return {
    spawn: () => new ScriptedProcess(),
    memoryPath: join(dir, 'devices.json'),
    ortVersion: '1.30.0',
    detectGpus: async () => [turing],
    missingFor: () => null,
    platform: 'linux',
    threads: 1,
    binding: 'auto',
    active: () => ['cpu'],
    log: { warn: () => {} },
    ...change,
  };
}

/** Answers each probe by `say`. */
function scripted(say: (process: ScriptedProcess, provider: Device['provider']) => void): { spawn: () => ScriptedProcess; spawned: ScriptedProcess[] } {
  const spawned: ScriptedProcess[] = [];
  const spawn = () => {
    const process = new ScriptedProcess();
    spawned.push(process);
    setImmediate(() => {
      const [order] = process.orders;
      if (order?.type === 'probe') say(process, deviceParts(order.device).provider);
    });
    return process;
  };
  return { spawn, spawned };
}

const refused = (reason: string) => ({
  type: 'refused',
  error: { code: 'engine_failed', message: `ONNX Runtime could not run /tmp/p.onnx: ${reason}`, data: { reason } },
});
const matMul = { name: 'MatMulNBits', type: 'bfloat16' } as const;
const right = { type: 'probed', result: { operator: matMul, error: 0, tolerance: 0.02, milliseconds: 1.5, productRate: 1e14 } };
const wrongIn = (type: 'float32' | 'float16' | 'bfloat16', error: number | null) => ({
  type: 'probed',
  result: { operator: { name: 'MatMulNBits', type }, error, tolerance: 0.002, milliseconds: 0, productRate: 0 },
});
const stateOf = async (options: DeviceProbesOptions, provider: Device['provider']) =>
  (await createDeviceProbes(options).list()).devices.find((device) => device.provider === provider);

test('the real process: the CPU works; a missing card is absent, and WebGPU reports whether it works', async () => {
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: () => process.env });
  const { devices } = await createDeviceProbes(optionsWith({ spawn, detectGpus: async () => [] })).list();
  expect(devices.map(({ provider }) => provider)).toEqual(['cuda', 'webgpu', 'cpu']);
  const [cuda, webgpu, cpu] = devices;
  expect(cpu).toMatchObject({ state: 'works', active: true });
  expect(cpu?.milliseconds).toBeGreaterThan(0);
  expect(cuda).toMatchObject({ state: 'absent', probed_at: null });
  // whatever it is on this machine, it is a sentence and not the crash of the server
  expect(webgpu?.reason).toMatch(/\w/);
  expect(webgpu?.probed_at).not.toBeNull();
});

describe('a provider is ruled out', () => {
  test.each([
    [
      'with wrong numbers',
      wrongIn('float32', 0.25),
      'wrong',
      'The operator MatMulNBits in float32 gave numbers that are off by 25 % of the largest; 0.2 % is allowed',
    ],
    ['with NaN values', wrongIn('float32', null), 'wrong', 'The operator MatMulNBits in float32 gave NaN values'],
    [
      'by the driver',
      refused(
        '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, Status> onnxruntime::CudaCall(ERRTYPE, const char*) [with ERRTYPE = cudaError; bool THRW = true] /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:145 CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=h ; file=/onnxruntime_src/cuda_execution_provider.cc ; line=300 ; expr=cudaSetDevice(info_.device_id); ',
      ),
      'refused',
      /^CUDA failure 100: no CUDA-capable device is detected$/,
    ],
    ['with a refusal', refused('no such library'), 'refused', 'no such library'],
  ] as const)('%s', async (_what, answer, state, reason) => {
    const { spawn, spawned } = scripted((process, provider) => process.say(provider === 'cuda' ? answer : right));
    expect(await stateOf(optionsWith({ spawn }), 'cuda')).toMatchObject({ state, reason: expect.stringMatching(reason) });
    expect(await stateOf(optionsWith({ spawn }), 'cpu')).toMatchObject({ state: 'works' });
    expect(spawned.every(({ wasKilled }) => wasKilled)).toBe(true);
  });

  test('that takes its process down, and the others are tried all the same', async () => {
    const { spawn } = scripted((process, provider) => (provider === 'cuda' ? process.kill() : process.say(right)));
    const { devices } = await createDeviceProbes(optionsWith({ spawn })).list();
    expect(devices.map(({ state }) => state)).toEqual(['crashed', 'works', 'works']);
    expect(devices[0]?.reason).toContain('SIGKILL');
  });

  test('that does not answer', async () => {
    const { spawn } = scripted((process, provider) => provider !== 'webgpu' && process.say(right));
    expect(await stateOf(optionsWith({ spawn, timeoutMs: 50 }), 'webgpu')).toMatchObject({ state: 'silent', reason: 'It did not answer within 0.05 s.' });
  });
});

test('what was found is remembered for this driver and this ONNX Runtime, and not for another', async () => {
  const { spawn, spawned } = scripted((process) => process.say(right));
  await createDeviceProbes(optionsWith({ spawn })).list();
  expect(spawned).toHaveLength(3);
  await createDeviceProbes(optionsWith({ spawn })).list();
  expect(spawned).toHaveLength(3);
  await createDeviceProbes(optionsWith({ spawn, detectGpus: async () => [{ ...turing, driver: '590.1' }] })).list();
  expect(spawned).toHaveLength(6);
  await createDeviceProbes(optionsWith({ spawn, ortVersion: '1.31.0' })).list();
  expect(spawned).toHaveLength(9);
  await createDeviceProbes(optionsWith({ spawn, ortVersion: '1.31.0' })).list(true);
  expect(spawned).toHaveLength(12);
  expect(Object.keys(JSON.parse(await readFile(join(dir, 'devices.json'), 'utf8')).outcomes)).toHaveLength(3);
});

test('a provider whose libraries are not there is not tried, though it once worked', async () => {
  const { spawn, spawned } = scripted((process) => process.say(right));
  await createDeviceProbes(optionsWith({ spawn })).list();
  const missingFor = (provider: Device['provider']) => (provider === 'cuda' ? 'The CUDA pack is not installed.' : null);
  expect(await stateOf(optionsWith({ spawn, missingFor }), 'cuda')).toMatchObject({
    state: 'absent',
    reason: 'The CUDA pack is not installed.',
    probed_at: null,
  });
  expect(spawned).toHaveLength(3);
});

test('what was refused is tried again: a library may have been installed', async () => {
  const { spawn, spawned } = scripted((process) => process.say(refused('no')));
  await createDeviceProbes(optionsWith({ spawn })).list();
  await createDeviceProbes(optionsWith({ spawn })).list();
  expect(spawned).toHaveLength(6);
});

describe('NVIDIA cards', () => {
  test('are read from the tool of their driver', async () => {
    const gpus = await detectNvidia(async () => 'GPU-1, NVIDIA GeForce RTX 4090, 581.29, 8.9, 24564, 23012\nGPU-2, NVIDIA A100, 581.29, [N/A], [N/A], [N/A]\n');
    expect(gpus).toEqual([
      { name: 'NVIDIA GeForce RTX 4090', driver: '581.29', compute_capability: '8.9', total_bytes: 24_564 * 2 ** 20, free_bytes: 23_012 * 2 ** 20 },
      { name: 'NVIDIA A100', driver: '581.29', compute_capability: null, total_bytes: null, free_bytes: null },
    ]);
    expect(parseNvidiaSmi('Failed to initialize NVML: Driver/library version mismatch\n')).toEqual([]);
  });

  test.each([
    [{ compute_capability: '6.1' }, 'has compute capability 6.1; 7.5 (Turing)'],
    [{ compute_capability: '7.0' }, 'has compute capability 7.0'],
    [{ compute_capability: '12.1' }, 'has compute capability 12.1'],
    [{ driver: '535.183.01' }, 'has driver 535.183.01; driver 580 or newer is needed'],
  ])('that are too old are named with what would do: %o', async (change, reason) => {
    const { spawn, spawned } = scripted((process) => process.say(right));
    const gpu = { ...turing, ...change };
    expect(unsupportedReason(gpu)).toContain(reason);
    expect(await stateOf(optionsWith({ spawn, detectGpus: async () => [gpu] }), 'cuda')).toMatchObject({ state: 'too_old', probed_at: null });
    expect(spawned).toHaveLength(2);
  });

  test('are judged by the build of their system: Windows has no code for Hopper, and compiles for Blackwell at the first load', () => {
    const card = (compute_capability: string) => ({ ...turing, compute_capability });
    expect(unsupportedReason(card('9.0'), 'win32')).toContain('7.5 (Turing), 8.x (Ampere, Ada), 12.0 (Blackwell) are supported');
    expect(unsupportedReason(card('9.0'), 'linux')).toBeNull();
    expect(unsupportedReason(card('12.0'), 'win32')).toBeNull();
    expect(firstLoadNotice(card('12.0'), 'win32')).toContain('compiles kernels');
    expect([firstLoadNotice(card('12.0'), 'linux'), firstLoadNotice(card('8.9'), 'win32')]).toEqual([null, null]);
  });

  test.each(['7.5', '8.0', '8.6', '8.9', '9.0', '12.0', null])('of compute capability %s are tried', (compute_capability) => {
    expect(unsupportedReason({ ...turing, compute_capability })).toBeNull();
  });
});

test('one device: each card has its own probe, remembered, and a missing card or system is reported', async () => {
  const { spawn, spawned } = scripted((process) => process.say(right));
  const ada: Gpu = { ...turing, name: 'RTX 4090', compute_capability: '8.9' };
  const probes = createDeviceProbes(optionsWith({ spawn, detectGpus: async () => [turing, ada] }));
  const reason = 'Its numbers are right. An image of 1024 x 1024 by Z-Image-Turbo takes about 6.8 s at the measured rate.';
  expect(await probes.check('cuda:1', 'fast')).toEqual({ state: 'works', reason, gpu: ada, precision: 'bf16' });
  expect(await probes.check('cuda:1', 'fast')).toMatchObject({ state: 'works' });
  expect(spawned.map(({ orders }) => orders[0])).toEqual([{ type: 'probe', device: 'cuda:1', precision: 'bf16', threads: 1, binding: 'auto' }]);
  expect(await probes.check('cuda:2', 'fast')).toMatchObject({ state: 'absent', reason: expect.stringContaining('no NVIDIA card 2'), gpu: null });
  expect(await probes.check('coreml', 'fast')).toMatchObject({ state: 'absent', reason: expect.stringContaining('darwin') });
});

describe('a card whose operator fails in one precision', () => {
  const ada: Gpu = { ...turing, name: 'RTX 4090', compute_capability: '8.9' };
  const failing = (...types: string[]) => {
    const { spawn, spawned } = scripted((process) => {
      const [order] = process.orders;
      const type = order?.type === 'probe' ? { bf16: 'bfloat16', fp16: 'float16', fp32: 'float32' }[order.precision] : '';
      if (!types.includes(type ?? '')) process.say(right);
      else {
        process.say({ type: 'probing', operator: { name: 'QuickGelu', type } });
        process.say(refused('no kernel image is available'));
      }
    });
    return { spawned, probes: createDeviceProbes(optionsWith({ spawn, memoryPath: join(dir, `${types.join()}.json`), detectGpus: async () => [ada] })) };
  };
  const refusal = (type: string) => `The operator QuickGelu in ${type} failed: no kernel image is available`;

  test('computes in the next safer one, and the operator is named', async () => {
    const once = failing('bfloat16');
    expect(await once.probes.check('cuda:0', 'fast')).toMatchObject({
      state: 'works',
      precision: 'fp16',
      reason: expect.stringContaining(refusal('bfloat16')),
    });
    expect(once.spawned.map(({ orders }) => orders[0])).toMatchObject([{ precision: 'bf16' }, { precision: 'fp16' }]);
    const twice = await failing('bfloat16', 'float16').probes.check('cuda:0', 'fast');
    expect(twice).toMatchObject({ state: 'works', precision: 'fp32', reason: expect.stringContaining(refusal('float16')) });
    expect(await failing('bfloat16').probes.check('cuda:0', 'exact')).toMatchObject({ state: 'works', precision: 'fp32' });
  });

  test('is ruled out where the precision is float32, without trying the others', async () => {
    const { spawned, probes } = failing('bfloat16', 'float16', 'float32');
    expect(await probes.check('cuda:0', 'fast')).toMatchObject({ state: 'refused', reason: expect.stringContaining(refusal('float32')) });
    expect(spawned).toHaveLength(3);
    const { spawn, spawned: once } = scripted((process) => process.say(wrongIn('float32', 1)));
    expect(await createDeviceProbes(optionsWith({ spawn, detectGpus: async () => [ada] })).check('cuda:0', 'fast')).toMatchObject({ state: 'wrong' });
    expect(once).toHaveLength(1);
  });
});

describe('listings at once', () => {
  const two = () => [turing, { ...turing, name: 'RTX 4090' }];

  test('are one listing, but one that is asked to forget probes again after the one that runs', async () => {
    const { spawn, spawned } = scripted((process) => process.say(right));
    const probes = createDeviceProbes(optionsWith({ spawn }));
    const [first, same, again, sameAgain] = [probes.list(), probes.list(), probes.list(true), probes.list(true)];
    expect([same === first, again === first, sameAgain === again]).toEqual([true, false, true]);
    await Promise.all([first, again]);
    expect(spawned).toHaveLength(6);
  });

  test('and the check of a device share one probe', async () => {
    const { spawn, spawned } = scripted((process) => process.say(right));
    const probes = createDeviceProbes(optionsWith({ spawn, detectGpus: async () => two() }));
    await Promise.all([probes.list(), probes.check('cuda:0', 'fast'), probes.check('webgpu', 'fast'), probes.check('cuda:1', 'fast')]);
    // cuda is cuda:0
    expect(spawned).toHaveLength(4);
  });

  test('forget nothing that was learned of other cards', async () => {
    const { spawn, spawned } = scripted((process) => process.say(right));
    const options = optionsWith({ spawn, detectGpus: async () => two() });
    const probes = createDeviceProbes(options);
    await probes.check('cuda:0', 'fast');
    await probes.check('cuda:1', 'fast');
    await probes.list();
    const restarted = createDeviceProbes(options);
    await restarted.check('cuda:0', 'fast');
    await restarted.check('cuda:1', 'fast');
    expect(spawned.map(({ orders }) => orders[0])).toMatchObject([{ device: 'cuda:0' }, { device: 'cuda:1' }, { device: 'webgpu' }, { device: 'cpu' }]);
  });
});

test('a damaged record of one device is probed again, and the others are kept', async () => {
  const { spawn, spawned } = scripted((process) => process.say(right));
  const options = optionsWith({ spawn });
  await createDeviceProbes(options).list();
  const path = options.memoryPath;
  const stored = JSON.parse(await readFile(path, 'utf8'));
  const [damaged] = Object.keys(stored.outcomes);
  stored.outcomes[damaged ?? ''] = { state: 'splendid' };
  await writeFile(path, `\ufeff${JSON.stringify(stored)}`);
  await createDeviceProbes(options).list();
  expect(spawned).toHaveLength(4);
  await writeFile(path, '{"version": 1, "outco');
  await createDeviceProbes(options).list();
  expect(spawned).toHaveLength(7);
});
