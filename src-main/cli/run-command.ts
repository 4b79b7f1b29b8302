import { reportTo } from '#main/lib/report-to.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { StudioError } from '../../clients/js/zimage.js';

/** Takes the arguments after the command's name. One that ran but did not succeed sets `process.exitCode`. */
export type Command = (argv: readonly string[]) => Promise<void>;

const EXIT_MS = 1000;

/** Loads a command and runs it as this process. An error is printed as one sentence and ends the process with 2 for a wrong option, else 1. */
export async function runCommand(load: () => Promise<Command>, argv: readonly string[]): Promise<void> {
  // console.log and console.error survive a reader that is gone from here on
  const [, errors] = [reportTo(process.stdout), reportTo(process.stderr)];
  try {
    const command = await load();
    await command(argv);
  } catch (error) {
    const isExpected = error instanceof AppError || error instanceof StudioError;
    const text = isExpected ? error.message : error instanceof Error ? error.stack : String(error);
    errors.write(`${text}\n`);
    process.exitCode = isExpected && error.code === 'bad_option' ? 2 : 1;
    // what is still open must not keep a failed process
    setTimeout(() => process.exit(), EXIT_MS).unref();
  }
}
