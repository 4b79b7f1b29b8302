import type { CudaLicence } from '#shared/domain/cuda-pack.ts';

/** The licences that the user accepts. This program contains no NVIDIA files; they are downloaded from their publisher. */
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
