import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';
import { loadResults } from './harness/results.ts';
import type { Row } from './harness/row.ts';
import { rowTable, runText } from './report.ts';

/** Writes `docs/reliability.md` from `bench/results`: first every figure that has a limit, then all figures of each command. */
export async function writeReliabilityPage(): Promise<void> {
  const summary: Row[] = [];
  const details: string[] = [];
  for (const { command, title, text } of COMMANDS) {
    const results = await loadResults(command);
    for (const [part, { rows }] of Object.entries(results)) {
      summary.push(...rows.filter(({ must }) => must !== null).map((row) => ({ ...row, label: `${part}: ${row.label}` })));
    }
    if (Object.keys(results).length === 0) continue;
    details.push('', `## ${title}`, '', text, '', '<details>', '<summary>All figures</summary>', '');
    for (const [part, measured] of Object.entries(results)) details.push(`**${part}**, ${runText(measured)}:`, '', ...rowTable(measured.rows), '');
    details.push('</details>');
  }
  const page = ['# Reliability', '', INTRODUCTION, '', ...rowTable(summary), ...details];
  await writeFile(join(programDir, 'docs/reliability.md'), `${page.join('\n')}\n`);
}

const INTRODUCTION = [
  'What the server withstands, measured. The commands named below write this page from `bench/results/*.json` and end with an error where a limit is missed; `bash test.sh` runs a short form of each.',
  'The server is the real one, in a process of its own on 127.0.0.1, with a fake model in the engine process. Clients run in another process on the same machine and share its cores.',
].join('\n');

const COMMANDS = [
  {
    command: 'faults',
    title: 'Kills: `npm run faults`',
    text: [
      'The server, its engine or both are killed with SIGKILL, at named points of a job and at random moments, many times over one data folder. Two clients record every message and compare each restarted server with their records:',
      'nothing acknowledged is lost, no final state changes, each outcome is reported exactly once (by `seq` and `since`), no file under a final name is incomplete, no temporary file survives a start, and every job ends.',
      'The points are commits, renames, moves to the bin, answers, recovery at the start, parking at the end, and in the engine compilation, steps and file writes. A kill cannot simulate a power failure: files and commits are synced, and these tests trust the sync.',
    ].join('\n'),
  },
  {
    command: 'load',
    title: 'Load: `npm run load`',
    text: [
      '`npm run load -- PART …` runs single parts:',
      '',
      '- `submit`: `create_job` with a new prompt each time, counted when `pending` arrives, which the server sends after SQLite has synced the commit (WAL, synchronous FULL). Medians of 5 rounds. Then the server is killed, and every acknowledged job must still be there.',
      '- `fan-out`: one job of 50 steps that 500 clients asked for, each with its own `client_id`, so that no two receive the same bytes. The fake model takes no time. Median of 6 jobs.',
      '- `idle`: resident memory with idle sockets, after a garbage collection.',
      '- `delay`: from a step in the engine to the client that has read it, while engine threads multiply matrices on all cores.',
      '- `slow`: 30 clients that keep asking for a list of 200 jobs and never read, twice, beside a client that does.',
      '- `soak`: clients connect, submit, follow, list, fetch images and leave, for 20 minutes at two jobs a second. Growth of memory from the third minute on, after garbage collections.',
      '- `peer`: the same clients with a FastAPI and uvicorn server like the original (`bench/peers/fastapi`), in turns with ours (A B B A). The peer keeps jobs in a dict, as the original does, or in SQLite with synchronous FULL, as ours does.',
    ].join('\n'),
  },
  {
    command: 'fuzz',
    title: 'Fuzz: `npm run fuzz`',
    text: [
      'Mutated messages, garbage, broken WebSocket frames, and HTTP requests with damaged lines, headers and bodies, over many connections. Every WebSocket frame with JSON must be answered, with its `request_id` where that is valid, or close the socket with the documented code. Every HTTP request must be answered, none with 5xx.',
      'A run prints its seed; `npm run fuzz -- --seed N` repeats it.',
    ].join('\n'),
  },
] as const;
