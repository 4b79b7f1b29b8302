import { commands } from './cli/commands.ts';
import { runCommand } from './cli/run-command.ts';
import { commandArguments } from './config/launch-arguments.ts';

// The server without a window: what start.sh runs.
await runCommand(commands.serve, commandArguments());
