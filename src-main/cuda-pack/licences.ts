import type { CudaLicence } from '#shared/domain/cuda-pack.ts';

/** What is agreed to by installing: nothing of NVIDIA's comes with this program, its files go from their publisher to the user's machine. */
export const cudaLicences: readonly CudaLicence[] = [
  {
    name: 'NVIDIA Software License Agreement and CUDA Supplement',
    covers: 'the CUDA runtime, NVRTC, cuBLAS and cuRAND',
    url: 'https://docs.nvidia.com/cuda/eula/',
  },
  {
    name: 'NVIDIA Software License Agreement and cuDNN Supplement',
    covers: 'cuDNN',
    url: 'https://docs.nvidia.com/deeplearning/cudnn/backend/latest/reference/eula.html',
  },
  { name: 'MIT License', covers: 'the CUDA execution provider of ONNX Runtime', url: 'https://github.com/microsoft/onnxruntime/blob/main/LICENSE' },
];
