import { AppError } from '#shared/protocol/errors.ts';
import { clientCommand, helpText } from './client-commands.ts';
import type { ServerStarter } from './connect.ts';
import type { Command } from './run-command.ts';

interface Program {
  starter: ServerStarter;
  /** Commands of this program only. They replace the client commands of the same name. */
  own: Readonly<Record<string, () => Promise<Command>>>;
}

/** The command for the first argument of `zimage`. Throws `bad_option`. */
export async function loadCommand(name: string, { starter, own }: Program): Promise<Command> {
  if (name === '' || name === '--help' || name === '-h' || name === 'help') return async () => void process.stdout.write(helpText);
  if (name === '--version' || name === '-v') return async () => void process.stdout.write(`${starter.version()}\n`);
  const ours = Object.hasOwn(own, name) ? own[name] : undefined;
  if (ours !== undefined) return ours();
  const command = clientCommand(name, starter);
  if (command !== null) return command;
  throw new AppError(
    'bad_option',
    `There is no command ${JSON.stringify(name)}; zimage --help lists them. For a prompt of one word: zimage run ${JSON.stringify(name)}.`,
    {
      option: name,
    },
  );
}
