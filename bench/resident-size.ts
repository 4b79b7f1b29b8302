import { readFileSync, writeFileSync } from 'node:fs';

/** Resident sizes in bytes as Linux tells them; NaN elsewhere, which no limit lets pass. */

/** Largest size since the start or the last `forgetPeak`. */
export function peakBytes(pid: number): number {
  return kilobytesIn(`/proc/${pid}/status`, 'VmHWM');
}

/** Pages shared with other processes count in parts, so that sizes may be added up. */
export function proportionalBytes(pid: number): number {
  return kilobytesIn(`/proc/${pid}/smaps_rollup`, 'Pss');
}

/** The same without what is a file on the disk, mapped: what the system cannot take back when memory is short. */
export function anonymousBytes(pid: number): number {
  return kilobytesIn(`/proc/${pid}/smaps_rollup`, 'Anonymous');
}

/** The peak counts from here on. Source: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export function forgetPeak(pid: number): void {
  if (process.platform === 'linux') writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function kilobytesIn(path: string, field: string): number {
  if (process.platform !== 'linux') return Number.NaN;
  const text = readFileSync(path, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
}
