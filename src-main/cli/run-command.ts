import { AppError } from '#shared/protocol/errors.ts';

/** Takes the arguments after the command's name. One that ran but did not succeed sets `process.exitCode`. */
export type Command = (argv: readonly string[]) => Promise<void>;

/** Loads a command and runs it as this process. An error is printed as one sentence and ends the process with 2 for a wrong option, else 1. */
export async function runCommand(load: () => Promise<Command>, argv: readonly string[]): Promise<void> {
  try {
    const command = await load();
    await command(argv);
  } catch (error) {
    const isExpected = error instanceof AppError;
    const text = isExpected ? error.message : error instanceof Error ? error.stack : String(error);
    const status = isExpected && error.code === 'bad_option' ? 2 : 1;
    process.stderr.write(`${text}\n`, () => process.exit(status));
  }
}
