/** The server options that the desktop app takes from its own command line; it chooses address and folders itself. */
const takenOptions = new Set([
  '--port',
  '--checkpoint',
  '--wheel-index',
  '--device',
  '--accuracy',
  '--memory',
  '--binding',
  '--priority',
  '--log-level',
  '--allow-host',
  '--allow-origin',
]);
/** The same, without a value. */
const takenSwitches = new Set(['--require-key']);

/** Everything after the program on the command line, to start the same way again. */
export function startArguments(): string[] {
  return process.argv.slice(1);
}

/** The arguments of a command that plain Node runs. */
export function commandArguments(): string[] {
  return process.argv.slice(2);
}

/**
 * The arguments that the desktop app was started with, without the program itself.
 * In development the first one is the folder of the app, which the user did not write.
 */
export function launchArguments(): string[] {
  const isDevelopment = Reflect.get(process, 'defaultApp') === true;
  const own = startArguments();
  if (!isDevelopment) return own;
  const appFolder = own.findIndex((argument) => !argument.startsWith('-'));
  return own.filter((_argument, at) => at !== appFolder);
}

/** The command line for `loadConfig` in the desktop app: address and folder, and the server options in `argv`, without Chromium's switches. */
export function desktopConfigArguments(argv: readonly string[], choices: { host: string; dataDir: string }): string[] {
  const own = argv.flatMap((argument, at) => {
    const [name = '', value] = argument.split(/=(.*)/s);
    if (takenSwitches.has(name)) return [argument];
    if (!takenOptions.has(name)) return [];
    const following = argv[at + 1];
    return value !== undefined ? [name, value] : following !== undefined ? [name, following] : [name];
  });
  return ['--host', choices.host, '--data-dir', choices.dataDir, ...own];
}
