import { commandArguments } from '#main/config/launch-arguments.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { commands } from './commands.ts';
import { type Command, runCommand } from './run-command.ts';

const [name = '', ...argv] = commandArguments();
await runCommand(() => load(name), argv);

async function load(wanted: string): Promise<Command> {
  const known = Object.entries(commands).find(([command]) => command === wanted);
  if (known !== undefined) return known[1]();
  const names = Object.keys(commands).join(', ');
  throw new AppError('bad_option', `The command is ${JSON.stringify(wanted)}; it must be one of ${names}. Each explains its options with --help.`, {
    option: wanted,
  });
}
