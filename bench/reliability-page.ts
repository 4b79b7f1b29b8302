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
  const tried = TRIED.map(([condition, behaviour, test]) => `| ${condition} | ${behaviour} | \`${test}\` |`);
  const conditions = ['## Folders, clocks, containers', '', '| condition | what happens | test |', '|---|---|---|', ...tried];
  const page = ['# Reliability', '', INTRODUCTION, '', ...rowTable(summary), '', ...conditions, ...details];
  await writeFile(join(programDir, 'docs/reliability.md'), `${page.join('\n')}\n`);
}

const INTRODUCTION = [
  'What the server withstands, measured. The commands named below write this page from `bench/results/*.json` and end with an error where a limit is missed; `bash test.sh` runs a short form of `faults`, `load` and `fuzz`.',
  'The server is the real one, in a process of its own on 127.0.0.1, with a fake model in the engine process, but with the bundled checkpoint in `busy`. Clients run in another process on the same machine and share its cores.',
].join('\n');

/** Conditions that reports about programs of this kind name, each with the test that holds the behaviour. */
export const TRIED: readonly (readonly [condition: string, behaviour: string, test: string])[] = [
  ['the file system cannot sync folders (vboxsf, some FUSE)', 'the write counts; other errors of fsync stay errors', 'src-main/lib/sync-file.test.ts'],
  ['another program holds a file for a moment (virus scanner, cloud folder)', 'the rename is repeated for up to 1.6 s', 'src-main/lib/wait-for-lock.test.ts'],
  ['the data folder belongs to a group and may not be chmodded', 'the server starts with one warning', 'src-main/jobs/store/private-folder.test.ts'],
  ['the file system does not say how much space is free', 'jobs are accepted; a full disk shows at the write', 'src-main/jobs/durable-jobs.test.ts'],
  ['the disk of the image folder is not mounted', 'jobs are refused, and nothing is written to the mount point', 'src-main/jobs/images/recovery.test.ts'],
  ['the image folder is removed while the server runs and comes back', 'jobs are refused until it is back', 'tests/faults/disk.test.ts'],
  ['the disk is full, read-only or fails while an image is written', 'the job fails with a code, and no incomplete file is left', 'tests/faults/disk.test.ts'],
  ['the data folder is on a network file system', 'one warning at the start', 'src-main/jobs/store/network-file-system.test.ts'],
  ['another program locks the database for a moment', 'requests wait; a finished image is never failed for it', 'src-main/jobs/faults.test.ts'],
  [
    'the database is damaged, missing, or the start is killed while it is rebuilt',
    'the images are indexed again, as often as needed',
    'src-main/jobs/images/recovery.test.ts',
  ],
  ['a stored job was written by another version', 'it is shown as such, never run, never deleted', 'src-main/jobs/store/other-versions.test.ts'],
  [
    'a settings file has a byte order mark, or one value that is not understood',
    'the other values apply, and nothing is overwritten',
    'src-main/lib/json-file.test.ts',
  ],
  ['the wall clock jumps by years', 'the bin keeps its images; time in the bin counts by the monotonic clock', 'src-main/jobs/images/retention.test.ts'],
  ['a compiled graph is cut, empty or overwritten', 'it is compiled again once, and the report says so', 'tests/goldens/damaged-graphs.test.ts'],
  ['no HOME, and no passwd entry for the user id', 'folders that are named work; the others are named in the error', 'src-main/config/no-home.test.ts'],
  [
    'variables of other programs (NODE_OPTIONS, NODE_UNIQUE_ID, Kubernetes service names, blanks, CR)',
    'they are ignored or named',
    'src-main/config/child-environment.test.ts',
  ],
  [
    'a value that only one feature needs is wrong (HTTPS_PROXY, HF_ENDPOINT)',
    'only that feature is refused, by the name of the variable',
    'src-main/config/config.test.ts',
  ],
  ['the reader of the log goes away', 'the server goes on', 'src-main/lib/report-to.test.ts'],
  ['no file descriptors are left', 'new sockets are refused; models are not reported as damaged', 'src-main/server/max-open-files.test.ts'],
  ['two servers are started on one data folder', 'the second writes nothing', 'src-main/studio/start-studio.test.ts'],
];

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
  {
    command: 'busy',
    title: 'A busy machine: `npm run bench -- busy`',
    text: 'One image of 512 x 512 at a time without its upscaled version, from the headless server at normal priority and from a FastAPI server with diffusers and sdnq, in turns (A B B A), alone and while `stress-ng` multiplies matrices on every core. The fair share is the time alone times the number of programs on a core.',
  },
] as const;
