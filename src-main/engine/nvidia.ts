import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Gpu } from '#shared/domain/device.ts';

const FIELDS = 'name,driver_version,compute_cap,memory.total,memory.free';
const TIMEOUT_MS = 10_000;
/** The CUDA 13 builds of ONNX Runtime need it. Source: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ */
const LOWEST_DRIVER = 580;
/** What they hold code for, without an intermediate form for others: 8.x runs 8.0's, 9.0 and 12.0 run their own only. */
const CAPABILITIES = /^(7\.5|8\.\d|9\.0|12\.0)$/;

/** NVIDIA cards, asked of the driver's own tool without any library; where that is missing the kernel module tells at least the driver. Empty without a driver. */
export async function detectNvidia(run: (file: string, args: string[]) => Promise<string> = runTool): Promise<Gpu[]> {
  try {
    return parseNvidiaSmi(await run('nvidia-smi', [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits']));
  } catch {
    // not installed, or without a card to speak to
    const version = await readFile('/proc/driver/nvidia/version', 'utf8').catch(() => '');
    const driver = /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(version)?.[1];
    return driver === undefined ? [] : [{ name: 'an NVIDIA card', driver, compute_capability: null, total_bytes: null, free_bytes: null }];
  }
}

/** Memory comes in MiB; what a card does not tell reads `[N/A]`. */
export function parseNvidiaSmi(text: string): Gpu[] {
  return text
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter((cells) => cells.length === 5)
    .map(([name = '', driver = '', capability = '', total = '', free = '']) => ({
      name,
      driver,
      compute_capability: /^\d+\.\d+$/.test(capability) ? capability : null,
      total_bytes: mebibytes(total),
      free_bytes: mebibytes(free),
    }));
}

/** Why CUDA cannot run on this card, and what would do; null where nothing speaks against it. */
export function cudaObstacle({ name, driver, compute_capability: capability }: Gpu): string | null {
  if (Number.parseInt(driver, 10) < LOWEST_DRIVER)
    return `${name} has driver ${driver}; driver ${LOWEST_DRIVER} or newer is needed: install it from https://www.nvidia.com/drivers, or by your distribution.`;
  if (capability === null || CAPABILITIES.test(capability)) return null;
  return `${name} has compute capability ${capability}; 7.5 (Turing), 8.x (Ampere, Ada), 9.0 (Hopper) and 12.0 (Blackwell) are supported. Pictures are made on the CPU; another card would do.`;
}

function mebibytes(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) * 2 ** 20 : null;
}

async function runTool(file: string, args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { timeout: TIMEOUT_MS, windowsHide: true });
  return stdout;
}
