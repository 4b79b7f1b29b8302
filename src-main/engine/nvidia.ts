import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { visibleCudaDevices } from '#main/config/visible-cuda-devices.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import type { Gpu } from '#shared/domain/device.ts';

const FIELDS = 'uuid,name,driver_version,compute_cap,memory.total,memory.free';
/** In WSL2 the driver's tool is here, and often not on the PATH. */
const TOOLS = ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi'];
const TIMEOUT_MS = 10_000;
/** The CUDA 13 builds of ONNX Runtime need it. Source: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ */
const LOWEST_DRIVER = 580;
/** What they hold code for, without an intermediate form for others: 8.x runs 8.0's, 9.0 and 12.0 run their own only. The Windows build has none for 9.0. */
const LINUX_CAPABILITIES = /^(7\.5|8\.\d|9\.0|12\.0)$/;
const WINDOWS_CAPABILITIES = /^(7\.5|8\.\d|12\.0)$/;

/** Runs a program and returns its standard output. */
type RunTool = (file: string, args: string[]) => Promise<string>;

/**
 * NVIDIA cards as CUDA will count them: in the order of their PCI addresses, and only those that `CUDA_VISIBLE_DEVICES` shows. The driver's own tool is
 * asked, without any library; where it is missing the kernel module names the driver. Empty without a driver.
 */
export async function detectNvidia(run: RunTool = runTool, visible: string | undefined = visibleCudaDevices()): Promise<Gpu[]> {
  for (const tool of TOOLS) {
    try {
      return visibleCards(parseNvidiaSmi(await run(tool, [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits'])), visible);
    } catch (cause) {
      if (errnoCode(cause) !== 'ENOENT') break;
    }
  }
  const version = await readFile('/proc/driver/nvidia/version', 'utf8').catch(() => ''); // no driver either
  const driver = /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(version)?.[1];
  const card = { name: 'an NVIDIA card', driver, compute_capability: null, total_bytes: null, free_bytes: null };
  return driver === undefined ? [] : visibleCards([{ ...card, driver, uuid: '' }], visible);
}

/** Why `detectNvidia` finds no card. */
export function noCardReason(visible: string | undefined = visibleCudaDevices()): string {
  if (visible === undefined) return 'There is no NVIDIA GPU, or its driver is not installed: none answers.';
  return `No NVIDIA GPU answers of those that CUDA_VISIBLE_DEVICES=${JSON.stringify(visible)} shows. Unset the variable to use all.`;
}

interface Card extends Gpu {
  uuid: string;
}

/** Memory comes in MiB; what a card does not report reads `[N/A]`. */
export function parseNvidiaSmi(text: string): Card[] {
  return text
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter((cells) => cells.length === 6)
    .map(([uuid = '', name = '', driver = '', capability = '', total = '', free = '']) => ({
      uuid,
      name,
      driver,
      compute_capability: /^\d+\.\d+$/.test(capability) ? capability : null,
      total_bytes: mebibytes(total),
      free_bytes: mebibytes(free),
    }));
}

/**
 * The cards of `CUDA_VISIBLE_DEVICES`, in its order: numbers, UUIDs or beginnings of UUIDs. The first entry that fits no card ends the list, as in CUDA.
 * Source: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
 */
function visibleCards(cards: readonly Card[], visible: string | undefined): Gpu[] {
  if (visible === undefined) return cards.map(withoutUuid);
  const shown: Gpu[] = [];
  for (const entry of visible.split(',').map((text) => text.trim())) {
    if (entry.startsWith('MIG-')) {
      shown.push(...sliceOf(cards, entry));
      continue;
    }
    const matching = /^\d+$/.test(entry) ? cards.slice(Number(entry), Number(entry) + 1) : cards.filter(({ uuid }) => entry !== '' && uuid.startsWith(entry));
    const [card] = matching;
    if (card === undefined || matching.length > 1) break;
    shown.push(withoutUuid(card));
  }
  return shown;
}

/** CUDA shows one slice of a card, and the tool reports no memory of it. */
function sliceOf(cards: readonly Card[], entry: string): Gpu[] {
  const card = cards.find(({ uuid }) => uuid !== '' && entry.startsWith(`MIG-${uuid}`)) ?? cards[0];
  return card === undefined ? [] : [{ ...withoutUuid(card), total_bytes: null, free_bytes: null }];
}

function withoutUuid({ uuid: _, ...gpu }: Card): Gpu {
  return gpu;
}

/** Why CUDA cannot run on this card, and what would do; null where nothing speaks against it. */
export function unsupportedReason({ name, driver, compute_capability: capability }: Gpu, platform: NodeJS.Platform = process.platform): string | null {
  if (Number.parseInt(driver, 10) < LOWEST_DRIVER)
    return `${name} has driver ${driver}; driver ${LOWEST_DRIVER} or newer is needed: install it from https://www.nvidia.com/drivers, or by your distribution.`;
  const isWindows = platform === 'win32';
  if (capability === null || (isWindows ? WINDOWS_CAPABILITIES : LINUX_CAPABILITIES).test(capability)) return null;
  const hopper = isWindows ? '' : ' 9.0 (Hopper),';
  return `${name} has compute capability ${capability}; 7.5 (Turing), 8.x (Ampere, Ada),${hopper} 12.0 (Blackwell) are supported. Images are made on the CPU; another card would do.`;
}

/** What people should know about a card that works, or null. On Windows some kernels of ONNX Runtime have no code for 12.0: the driver compiles them at the first load. */
export function firstLoadNotice({ compute_capability: capability }: Gpu, platform: NodeJS.Platform = process.platform): string | null {
  if (platform !== 'win32' || capability !== '12.0') return null;
  return 'At the first load the driver compiles kernels for this card, which can take minutes; later loads are quick.';
}

function mebibytes(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) * 2 ** 20 : null;
}

/** The tool may hang in the driver, where it obeys no signal: after its time it is killed and not waited for. */
export function runTool(file: string, args: string[], timeoutMs = TIMEOUT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], windowsHide: true });
    let output = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.unref();
      reject(new Error(`${file} did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(output);
      else reject(new Error(`${file} ended with exit code ${code}`));
    });
  });
}
