import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';
import { checkTables, loadChecks } from './checks.ts';

/** Writes `docs/reliability.md` from what lies in `bench/results`. */
export async function writeReliabilityPage(): Promise<void> {
  const page = ['# Reliability, measured', '', INTRODUCTION];
  for (const { command, title, text } of COMMANDS) {
    const results = await loadChecks(command);
    if (Object.keys(results).length > 0) page.push('', `## ${title}`, '', text, '', ...checkTables(results));
  }
  await writeFile(join(programDir, 'docs/reliability.md'), `${page.join('\n')}\n`);
}

const INTRODUCTION = [
  'This page is written by the commands that it names, from `bench/results/*.json`; nothing in it is typed by hand. Each command ends with an error where a limit was not held.',
  'The server is the real one in a process of its own on 127.0.0.1, with a fake model behind the same channel in a process of the engine; clients are another process on the same machine and share its cores. `bash test.sh` runs a short form of each, without timing.',
].join('\n');

const COMMANDS = [
  {
    command: 'faults',
    title: 'Kills: `npm run faults`',
    text: [
      'SIGKILL for the server, its engine, or both, at named points of the life of a job and at random moments, again and again over one data folder. Two clients keep lists of what they were told and hold every later life of the server against them:',
      'nothing acknowledged may be lost, no end state may change, each outcome must be told exactly once (by `seq` and `since`), no file under a final name may be half written, no temporary file may outlive a start, and in the end every job must have ended.',
      'The points are commits, renames, moves to the bin, answers, the mending at the start, the parking at the end, and in the engine its compilation, steps and writing of files. What a kill cannot show is the loss of power: files and commits are synced, which a test of this kind takes on trust.',
    ].join('\n'),
  },
  {
    command: 'load',
    title: 'Load: `npm run load`',
    text: [
      '`npm run load -- PART …` runs single parts. What the parts do:',
      '',
      '- `submit`: `create_job` with a new prompt each time; counted when `pending` came, which the server sends after SQLite has synced the commit (WAL, synchronous FULL). Medians of 5 rounds. Then the server is killed and everything acknowledged is looked for.',
      '- `fan-out`: one job of 50 steps that 500 clients asked for, each with its own `client_id`, so that no two get the same bytes; the fake model takes no time, so this is what the server can do. Median of 6 jobs.',
      '- `idle`: resident memory with sockets that are open and say nothing, after a garbage collection.',
      '- `delay`: from the engine telling a step to a client having read it, while threads of the engine multiply matrices on every core.',
      '- `slow`: 30 clients that ask for a list of 200 jobs again and again and never read, twice over; a client beside them goes on.',
      '- `soak`: clients come, submit, follow, list, fetch pictures and go, for 20 minutes at a few jobs a second; growth of resident memory from the third minute on, after garbage collections.',
      "- `peer`: the same clients against a FastAPI and uvicorn server of the original's shape (`bench/peers/fastapi`), taking turns with ours (A B B A) in one run. The peer keeps jobs in a dict, as the original does, or in SQLite with synchronous FULL, as ours does.",
    ].join('\n'),
  },
  {
    command: 'fuzz',
    title: 'Fuzz: `npm run fuzz`',
    text: [
      'Mutations of valid messages, garbage, broken WebSocket frames, and HTTP requests with damaged lines, headers and bodies, over many connections. Every WebSocket frame that holds JSON must be answered, with its `request_id` where it had a right one, or close the socket with the documented code; every HTTP request must be answered, none with 5xx.',
      'A run prints its seed; `npm run fuzz -- --seed N` repeats it.',
    ].join('\n'),
  },
] as const;
