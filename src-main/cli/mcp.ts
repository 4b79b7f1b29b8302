import { homedir } from 'node:os';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { pathOption, readCommandOptions } from '#main/config/command-options.ts';
import { createMcpServer } from '#main/server/doors/mcp/tools.ts';
import { settingsAnswerSchema } from '#shared/protocol/settings.ts';
import { clientOptions, connectOrStart, type ServerStarter } from './connect.ts';
import { createLocalImageReader } from './read-local-image.ts';

const usage = `Usage: zimage mcp [--url URL] [--folder DIR]...

Serves the Model Context Protocol on standard input and output, for hosts such as Claude and VS Code. Standard output has only its messages.
Tools read image files in the current folder, your home folder and the folders of --folder, and none that are hidden.`;
const { json: _, ...options } = clientOptions;
export const optionsSchema = z.object({ ...options, folder: z.array(pathOption).default([]) });

export async function mcp(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const given = readCommandOptions(optionsSchema, usage, argv);
  // a host that is gone closes our input and sends no signal; also while the server starts
  const hostGone = new Promise<void>((resolve) => {
    for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => resolve());
    if (process.stdin.readableEnded) resolve();
  });
  const connecting = connectOrStart(given, starter);
  void hostGone.then(async () => {
    await connecting.then(({ close }) => close()).catch(() => {}); // the host cannot hear of it any more
    process.exit(0);
  });
  const { studio, url } = await connecting;
  // null for a server that does not let this caller read it: the links to files are left out
  const outputsFolder = await studio.call('/api/settings').then(
    (settings) => settingsAnswerSchema.parse(settings).outputs_folder,
    () => null,
  );
  const isLocal = /^http:\/\/(127\.|localhost|\[::1\])/.test(url);
  const readLocal = createLocalImageReader([...given.folder, process.cwd(), homedir(), ...(isLocal && outputsFolder !== null ? [outputsFolder] : [])]);
  serveStdio(() =>
    createMcpServer({ studio, version: starter.version(), url, outputsFolder: isLocal ? outputsFolder : null, readLocal, cancelsOnAbort: true }),
  );
}
