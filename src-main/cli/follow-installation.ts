import { formatBytes } from '#main/lib/format-bytes.ts';

/** What models and the CUDA pack have in common. */
interface Installation {
  state: string;
  bytes_done: number;
  bytes_total: number;
  bytes_per_second: number | null;
  seconds_left: number | null;
}

const RUNNING: ReadonlySet<string> = new Set(['queued', 'downloading', 'unpacking', 'verifying']);

/**
 * Shows on standard error how far an installation is. Resolves with its last entry, when nothing runs any more.
 * @param watch Calls its listener at each change, and returns the function that ends it.
 */
export async function followInstallation<T extends Installation>(label: string, begun: T, watch: (listener: (entry: T) => void) => () => void): Promise<T> {
  return new Promise((resolve) => {
    const unwatch = watch(see);
    see(begun);
    function see(entry: T): void {
      if (RUNNING.has(entry.state)) {
        showProgress(label, entry);
        return;
      }
      unwatch();
      process.stderr.write('\n');
      resolve(entry);
    }
  });
}

/** Ctrl+C ends the command; what was downloaded stays. */
export function stopOnInterrupt(): void {
  process.once('SIGINT', () => {
    process.stderr.write('\nStopped. Run the same command to resume.\n');
    process.exit(130);
  });
}

function showProgress(label: string, { state, bytes_done, bytes_total, bytes_per_second, seconds_left }: Installation): void {
  const share = bytes_total === 0 ? 0 : Math.floor((100 * bytes_done) / bytes_total);
  const speed = bytes_per_second === null ? '' : `, ${formatBytes(bytes_per_second)}/s`;
  const left = seconds_left === null ? '' : `, ${clock(seconds_left)} left`;
  const line = `${label}: ${state} ${share} % of ${formatBytes(bytes_total)}${speed}${left}`;
  process.stderr.write(process.stderr.isTTY ? `\r${line.padEnd(100)}` : `${line}\n`);
}

function clock(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}` : minutes}:${String(seconds % 60).padStart(2, '0')}`;
}
