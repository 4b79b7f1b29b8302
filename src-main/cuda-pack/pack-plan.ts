/** What a CUDA pack consists of: archives with pinned hashes, and the files that are unpacked from each. */

export interface PackFile {
  /** The end of its path in the archive. */
  member: string;
  /** Its name in the pack. */
  name: string;
}

export interface PackArchive {
  name: string;
  type: 'zip' | 'tar';
  sha256: string;
  /** Null if the server is asked. */
  sizeBytes: number | null;
  /** A project of a Python package index, or a path below the address of a vendor. */
  place: { project: string } | { vendor: Vendor; path: string };
  files: readonly PackFile[];
}

export interface PackPlan {
  /** The name of the pack's folder: equal plans have equal versions. */
  version: string;
  onnxruntime: string;
  archives: readonly PackArchive[];
  /** The library of onnxruntime-node that is copied into the pack, or null if an archive has it. */
  copied: string | null;
  /** The library that contains its version, which must be `onnxruntime`. */
  provider: string;
  installedBytes: number;
}

export type Vendor = 'onnxruntime' | 'cuda' | 'cudnn';
export type PackSystem = 'linux-x64' | 'win32-x64';

/** Sources: https://github.com/microsoft/onnxruntime/releases, https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (redistributables), https://docs.nvidia.com/deeplearning/cudnn/ */
export const vendorAddresses: Readonly<Record<Vendor, string>> = {
  onnxruntime: 'https://github.com/microsoft/onnxruntime/releases/download',
  cuda: 'https://developer.download.nvidia.com/compute/cuda/redist',
  cudnn: 'https://developer.download.nvidia.com/compute/cudnn/redist',
};

const ONNXRUNTIME = '1.30.0';
/** ONNX Runtime, the release label of CUDA's redistributables, cuDNN. */
const VERSION = `${ONNXRUNTIME}-cuda13.1.1-cudnn9.20.0`;

const cudnnParts = ['', '_adv', '_cnn', '_engines_precompiled', '_engines_runtime_compiled', '_graph', '_heuristic', '_ops'];

/** The libraries of each part. */
const linuxFiles = {
  onnxruntime: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'],
  cublas: ['libcublas.so.13', 'libcublasLt.so.13'],
  cudart: ['libcudart.so.13'],
  curand: ['libcurand.so.10'],
  nvrtc: ['libnvrtc.so.13', 'libnvrtc-builtins.so.13.1'],
  cudnn: cudnnParts.map((part) => `libcudnn${part}.so.9`),
};

const windowsFiles: typeof linuxFiles = {
  onnxruntime: ['onnxruntime.dll', 'onnxruntime_providers_shared.dll', 'onnxruntime_providers_cuda.dll'],
  cublas: ['cublas64_13.dll', 'cublasLt64_13.dll'],
  cudart: ['cudart64_13.dll'],
  curand: ['curand64_10.dll'],
  nvrtc: ['nvrtc64_130_0.dll', 'nvrtc-builtins64_131.dll'],
  cudnn: cudnnParts.map((part) => `cudnn${part}64_9.dll`),
};

/** SHA-256, bytes, system, part, project and file name of each wheel. */
const wheels = `
4fbf0c5d7b5fb99266c2e8a802e3e64af68bdc383e0f3c7349b985f1087eedaa 246658419 linux-x64 onnxruntime onnxruntime-gpu     onnxruntime_gpu-1.30.0-cp311-cp311-manylinux_2_28_x86_64.whl
8c13c93cf8be4480b4909905c96d2d31575b4af43fcd3af0e84af94762665e4f 401085577 linux-x64 cublas      nvidia-cublas       nvidia_cublas-13.2.1.1-py3-none-manylinux_2_27_x86_64.whl
dac25b52e69050e5a7a84957e6df470a85b185f8f648a99a1ab1dfce027576cf   2297816 linux-x64 cudart      nvidia-cuda-runtime nvidia_cuda_runtime-13.1.80-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
6ea66d0de7e71472b800829b525df15027bd3d8d0c475778a4d2b2abc7b453bb  59950480 linux-x64 curand      nvidia-curand       nvidia_curand-10.4.1.81-py3-none-manylinux_2_27_x86_64.whl
d7cf1284ab82f379884decc8813d9d4a729bc96b1ec020a9cf80303f698d73c4  46564545 linux-x64 nvrtc       nvidia-cuda-nvrtc   nvidia_cuda_nvrtc-13.1.115-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304 366173588 linux-x64 cudnn       nvidia-cudnn-cu13   nvidia_cudnn_cu13-9.20.0.48-py3-none-manylinux_2_27_x86_64.whl
fea66ebd743717de6f254955293b5f978825be7867c87a99c4a0ac1fe6f1d763 160469661 win32-x64 onnxruntime onnxruntime-gpu     onnxruntime_gpu-1.30.0-cp311-cp311-win_amd64.whl
bc94f0597c21cfd6fea9446b18309b2351630ff227bb4e8575196494fb51c6b6 385519499 win32-x64 cublas      nvidia-cublas       nvidia_cublas-13.2.1.1-py3-none-win_amd64.whl
00db7158108d3ec7fe213fa78e2640d664b5b1b6b85485007dde29ccaa6abef6   3093656 win32-x64 cudart      nvidia-cuda-runtime nvidia_cuda_runtime-13.1.80-py3-none-win_amd64.whl
e3f3678a07e5e3dbc125af2e4571eb6f298554637465cc8f66090af2417b1fb0  55473392 win32-x64 curand      nvidia-curand       nvidia_curand-10.4.1.81-py3-none-win_amd64.whl
af8139732b99c0118be65ea5aac97f0d46018f8c552889e49d2fb0c6261a4a24 350712614 win32-x64 cudnn       nvidia-cudnn-cu13   nvidia_cudnn_cu13-9.20.0.48-py3-none-win_amd64.whl
f3e2bade7aa27bffe59ea507a2d7dbe65cdf8cb4a8f545c781cd5e6c9e9f5a91  40551528 win32-x64 nvrtc       nvidia-cuda-nvrtc   nvidia_cuda_nvrtc-13.1.115-py3-none-win_amd64.whl`;

/** SHA-256 (in redistrib_13.1.1.json and redistrib_9.20.0.json of NVIDIA, and in the release v1.30.0), bytes, system, part, vendor and path. */
const releases = `
382d79133112388cf94ce5855789b7c9bef12bef76a08b6b277e5a317213adcd         - linux-x64 onnxruntime onnxruntime         v1.30.0/onnxruntime-linux-x64-gpu_cuda13-1.30.0.tgz
b1cde2e14d1547f575f61f9b90dc91e9b80991d114971d50d535dd8bd72b5466 798288312 linux-x64 cublas      cuda                libcublas/linux-x86_64/libcublas-linux-x86_64-13.2.1.1-archive.tar.xz
b626f4790f46bc9324a1047f2fbcc9a42bc4a722b053056e61cc00da54ad6f32   1549648 linux-x64 cudart      cuda                cuda_cudart/linux-x86_64/cuda_cudart-linux-x86_64-13.1.80-archive.tar.xz
e15c2a59c29a0f3eb2b33c34c06cc1e1abba5b1b9ccf5e34c43d9787e84498dc  86661740 linux-x64 curand      cuda                libcurand/linux-x86_64/libcurand-linux-x86_64-10.4.1.81-archive.tar.xz
86077f16674ccea3e621ade9678887a37aca8f7500091aee4cabb1915e0c527b  60146948 linux-x64 nvrtc       cuda                cuda_nvrtc/linux-x86_64/cuda_nvrtc-linux-x86_64-13.1.115-archive.tar.xz
73f091ee57668dc18e8b1b61811c0ddff2ec0b762efe613e9f27f9ebfd6c20c0 673041224 linux-x64 cudnn       cudnn               cudnn/linux-x86_64/cudnn-linux-x86_64-9.20.0.48_cuda13-archive.tar.xz
8fa4b08359af682cd605892cb59077049700b640128bb93fd2c7776cf9f55bdc         - win32-x64 onnxruntime onnxruntime         v1.30.0/onnxruntime-win-x64-gpu_cuda13-1.30.0.zip
b00be5cda504da494a5f6b72a24f53254f97d4d47e8933ecc3993ad58b6b2ad2 384768814 win32-x64 cublas      cuda                libcublas/windows-x86_64/libcublas-windows-x86_64-13.2.1.1-archive.zip
e6f76dba2be1850a08168e90d868b12368aacb6c7d71871efb019f2d9648e877   3035009 win32-x64 cudart      cuda                cuda_cudart/windows-x86_64/cuda_cudart-windows-x86_64-13.1.80-archive.zip
9e9e46f7506415127f4014e00eced19998762bd4938603d9cb154ce23c86f838  54992852 win32-x64 curand      cuda                libcurand/windows-x86_64/libcurand-windows-x86_64-10.4.1.81-archive.zip
4ddd5a1e34fd62bb41e78c0725edfbf5609f4ecedd7fe118eddf2148b097fc91 284695391 win32-x64 nvrtc       cuda                cuda_nvrtc/windows-x86_64/cuda_nvrtc-windows-x86_64-13.1.115-archive.zip
d3ccce59130f10f68fe09365feea65b622bcecace79a0682fe43ee07b88a6a29 349802474 win32-x64 cudnn       cudnn               cudnn/windows-x86_64/cudnn-windows-x86_64-9.20.0.48_cuda13-archive.zip`;

const systems = {
  'linux-x64': { libraries: linuxFiles, copied: 'libonnxruntime.so.1', provider: 'libonnxruntime_providers_cuda.so', installedBytes: 1_621_068_615 },
  'win32-x64': { libraries: windowsFiles, copied: null, provider: 'onnxruntime_providers_cuda.dll', installedBytes: 1_302_207_629 },
} as const;

/** Null if ONNX Runtime has no CUDA build for the system. */
export function packSystem(platform: NodeJS.Platform, arch: NodeJS.Architecture): PackSystem | null {
  const system = `${platform}-${arch}`;
  return system === 'linux-x64' || system === 'win32-x64' ? system : null;
}

/** The pack of this version of the program, from wheels or from the vendors' releases. */
export function planPack(system: PackSystem, source: 'wheels' | 'releases'): PackPlan {
  const { libraries, copied, provider, installedBytes } = systems[system];
  const table = source === 'wheels' ? wheels : releases;
  const archives = table
    .trim()
    .split('\n')
    .map((row) => row.split(/ +/))
    .filter((row) => row[2] === system)
    .map(([sha256 = '', size, , part = '', place = '', path = '']): PackArchive => {
      const name = path.split('/').at(-1) ?? path;
      const files = libraries[part as keyof typeof libraries].map((library) => ({ member: library, name: library }));
      const licence = { member: source === 'wheels' ? 'License.txt' : 'LICENSE', name: `LICENSE-${part}.txt` };
      return {
        ...{ name, sha256, sizeBytes: size === '-' ? null : Number(size) },
        type: /\.(whl|zip)$/.test(name) ? 'zip' : 'tar',
        place: source === 'wheels' ? { project: place } : { vendor: place as Vendor, path },
        files: [...files, ...(part === 'onnxruntime' ? onnxruntimeTexts : [licence])],
      };
    });
  return { version: VERSION, onnxruntime: ONNXRUNTIME, archives, copied, provider, installedBytes };
}

const onnxruntimeTexts: readonly PackFile[] = [
  { member: 'LICENSE', name: 'LICENSE-onnxruntime.txt' },
  { member: 'ThirdPartyNotices.txt', name: 'NOTICES-onnxruntime.txt' },
];
