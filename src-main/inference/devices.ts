import type { ProviderName } from '#shared/domain/device.ts';

/** What is known of an execution provider before anything is tried. */
export interface Provider {
  name: ProviderName;
  /** The name that ONNX Runtime knows it by. */
  ortName: string;
  systems: readonly NodeJS.Platform[];
  needs: string;
  /** How much a probe's result may differ from the right one, as a share of the largest value: float32 on a GPU may be TF32 or fp16. */
  tolerance: number;
  knownFaults: readonly string[];
}

/** The one table of devices, in the order of preference. Facts: ONNX Runtime 1.30's packages and its documentation at https://onnxruntime.ai/docs/execution-providers/ */
export const providers: readonly Provider[] = [
  {
    name: 'cuda',
    ortName: 'cuda',
    systems: ['linux', 'win32'],
    needs: 'an NVIDIA card of compute capability 7.5, 8.x, 9.0 or 12.0, driver 580 or newer, and the CUDA libraries',
    tolerance: 2e-3,
    knownFaults: [
      'On Windows the package onnxruntime-node has none: only the C API reaches it, which --binding node gives up.',
      'A provider library of another version of ONNX Runtime is loaded without a word.',
      'fp16 overflows in Z-Image: bf16, or float32 beside fp16 products, is needed.',
    ],
  },
  {
    name: 'dml',
    ortName: 'dml',
    systems: ['win32'],
    needs: 'Windows 10 1903 or newer and a card with DirectX 12',
    tolerance: 2e-3,
    knownFaults: ['Runs of one session cannot overlap.', 'It is in maintenance: new operators run on the CPU.'],
  },
  {
    name: 'coreml',
    ortName: 'coreml',
    systems: ['darwin'],
    needs: 'macOS 12 or newer',
    tolerance: 2e-2,
    knownFaults: ['Graphs of free sizes and quantized products run on the CPU.'],
  },
  {
    name: 'webgpu',
    ortName: 'webgpu',
    systems: ['linux', 'win32', 'darwin'],
    needs: 'a card with Vulkan (Linux), DirectX 12 (Windows) or Metal (macOS)',
    tolerance: 2e-3,
    knownFaults: ['Without a card the software rasterizer may answer, slower than the CPU.', 'A single buffer is limited, often to 2 GB.'],
  },
  { name: 'cpu', ortName: 'cpu', systems: ['linux', 'win32', 'darwin'], needs: 'nothing', tolerance: 1e-5, knownFaults: [] },
];

export function providerNamed(name: ProviderName): Provider {
  const provider = providers.find((candidate) => candidate.name === name);
  if (provider === undefined) throw new Error(`The table of devices has no ${name}.`);
  return provider;
}
