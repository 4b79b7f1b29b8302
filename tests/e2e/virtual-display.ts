import { spawn } from 'node:child_process';

/** A virtual screen for windows on machines without a display. */
export interface VirtualDisplay {
  /** Value for `DISPLAY`. */
  name: string;
  close(): void;
}

/** Starts Xvfb on a free display. Rejects if Xvfb is not installed. */
export function startVirtualDisplay(): Promise<VirtualDisplay> {
  return new Promise((resolve, reject) => {
    const server = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1440x900x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] });
    server.once('error', (cause) => reject(new Error('Xvfb cannot be started: install the Debian package xvfb', { cause })));
    server.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}`)));
    // Xvfb writes its display number once clients can connect
    server.stdout.once('data', (number: Buffer) => resolve({ name: `:${number.toString().trim()}`, close: () => server.kill() }));
  });
}
