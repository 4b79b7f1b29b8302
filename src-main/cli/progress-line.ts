import { reportTo } from '#main/lib/report-to.ts';

export interface ProgressLine {
  /** Replaces the line on a terminal. Elsewhere a line is written only where `phase` changes. */
  show(text: string, phase: string): void;
  /** Ends the line. */
  end(): void;
}

const WIDTH = 100;

/** Progress on standard error, which scripts may drop. */
export function createProgressLine(): ProgressLine {
  const report = reportTo(process.stderr);
  let lastPhase = '';
  let isOpen = false;
  return {
    show(text, phase) {
      if (report.isTTY) report.write(`\r${text.slice(0, WIDTH).padEnd(WIDTH)}`);
      else if (phase !== lastPhase) report.write(`${text}\n`);
      lastPhase = phase;
      isOpen = report.isTTY;
    },
    end() {
      if (isOpen) report.write('\n');
      isOpen = false;
    },
  };
}
