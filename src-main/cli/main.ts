import { commandArguments } from '#main/config/launch-arguments.ts';
import { programDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { commands } from './commands.ts';
import { loadCommand } from './load-command.ts';
import { runCommand } from './run-command.ts';
import { startOwnServer } from './start-own-server.ts';

const [name = '', ...argv] = commandArguments();
const starter = { version: programVersion, checkoutDir: programDir, start: startOwnServer };
await runCommand(() => loadCommand(name, { starter, own: commands }), argv);
