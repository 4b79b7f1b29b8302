import { commandArguments } from '#main/config/launch-arguments.ts';
import type { ServerStarter } from './connect.ts';
import { loadCommand } from './load-command.ts';
import { runCommand } from './run-command.ts';
import { startDesktopApp } from './start-desktop-app.ts';

/** Set by the build. */
declare const ZIMAGE_VERSION: string;

// The command line of a package: the client commands, bundled into a Node.js executable by scripts/zimage-binary.ts.
const starter: ServerStarter = { version: () => ZIMAGE_VERSION, checkoutDir: null, start: startDesktopApp };
const serve = async () => async () => {
  const { url } = await startDesktopApp();
  process.stdout.write(`ready ${url}\n`);
};
const [name = '', ...argv] = commandArguments();
void runCommand(() => loadCommand(name, { starter, own: { serve } }), argv);
