import type { z } from 'zod';
import { type CompletedCommand, completion, optionsSchema as completionOptions, shells } from './completion.ts';
import type { ServerStarter } from './connect.ts';
import { cancel, optionsSchema as jobOptions, ps, queue } from './jobs.ts';
import { mcp, optionsSchema as mcpOptions } from './mcp.ts';
import { listModels, optionsSchema as modelOptions, pull, rm } from './model-commands.ts';
import { run, optionsSchema as runOptions } from './run.ts';
import type { Command } from './run-command.ts';
import { show, optionsSchema as showOptions } from './show.ts';
import { serverReport, status, optionsSchema as statusOptions } from './status.ts';
import { verifyByServer, optionsSchema as verifyOptions } from './verify-by-server.ts';

/** A command that needs no engine in its own process. */
interface ClientCommand {
  summary: string;
  /** The words that it takes. */
  words?: readonly string[];
  optionsSchema: z.ZodObject;
  command: (argv: readonly string[], starter: ServerStarter) => Promise<void> | void;
}

const clientCommands: Readonly<Record<string, ClientCommand>> = {
  run: { summary: 'Make an image; the same as zimage PROMPT', command: run, optionsSchema: runOptions },
  status: { summary: 'Show the running server', command: status, optionsSchema: statusOptions },
  ps: { summary: 'List running and waiting jobs', command: ps, optionsSchema: jobOptions },
  queue: { summary: 'Show, pause, resume or clear the queue', words: ['pause', 'resume', 'clear'], command: queue, optionsSchema: jobOptions },
  cancel: { summary: 'Cancel jobs', command: cancel, optionsSchema: jobOptions },
  show: { summary: 'Show how an image was made', command: show, optionsSchema: showOptions },
  verify: { summary: 'Check image files, and make them again to compare', command: verifyByServer, optionsSchema: verifyOptions },
  models: { summary: 'List models', command: listModels, optionsSchema: modelOptions },
  pull: { summary: 'Download a model', command: pull, optionsSchema: modelOptions },
  rm: { summary: 'Delete a model', command: rm, optionsSchema: modelOptions },
  doctor: { summary: 'Show what this machine can make images on', command: serverReport, optionsSchema: statusOptions },
  mcp: { summary: 'Serve the Model Context Protocol to a host', command: mcp, optionsSchema: mcpOptions },
  completion: {
    summary: 'Print completions for a shell',
    words: shells,
    command: (argv) => completion(argv, completed(), ['-o', '-n', ...optionsOf(runOptions)]),
    optionsSchema: completionOptions,
  },
};

const summaries: readonly (readonly [name: string, summary: string])[] = [
  ...Object.entries(clientCommands).map(([name, { summary }]) => [name, summary] as const),
  ['serve', 'Start the server'],
];

export const helpText = `Usage: zimage PROMPT [options]
       zimage COMMAND [options]

Makes images from text, on a running server or one that it starts.

${summaries.map(([name, summary]) => `  ${name.padEnd(12)}${summary}\n`).join('')}
  --version   print the version
  --help      print this text; zimage COMMAND --help explains a command

Examples:
  zimage "a red fox" -o fox.png --seed 7 --size 1024x768 -n 4
  zimage ps --json
`;

/** The command that the first argument names, or null. A prompt needs none: `zimage "a red fox"`, `zimage -n 2 "a red fox"`. */
export function clientCommand(name: string, starter: ServerStarter): Command | null {
  const isPrompt = /\s/.test(name) || /^-./.test(name);
  if (isPrompt) return (argv) => run([name, ...argv], starter);
  const known = Object.hasOwn(clientCommands, name) ? clientCommands[name] : undefined;
  return known === undefined ? null : async (argv) => known.command(argv, starter);
}

function completed(): CompletedCommand[] {
  return summaries.map(([name, summary]) => {
    const { words = [], optionsSchema } = clientCommands[name] ?? {};
    return { name, summary, words, options: optionsSchema === undefined ? ['--help'] : optionsOf(optionsSchema) };
  });
}

function optionsOf(schema: z.ZodObject): string[] {
  return [...Object.keys(schema.shape).map((name) => `--${name}`), '--help'];
}
