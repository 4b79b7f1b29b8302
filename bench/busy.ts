import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { paramsOf } from './harness/bench-engine.ts';
import { builtProgram } from './harness/built-program.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { JobClient } from './harness/job-client.ts';
import { startPeerServer } from './harness/peer-server.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, type Run, takeTurns } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { median } from './harness/statistics.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';
import { hasTorchPeer, PEER_FORMS } from './harness/torch-peer.ts';

const SIDE_PX = 512;
const CHECKPOINT_DIR = join(resourcesDir, 'models/storybook-uint4');

interface Load {
  label: string;
  /** Busy processes on each core. */
  perCore: number;
  isLow: boolean;
  /** How much longer an image takes that gets its fair share of the processor. */
  fairFactor: number;
}

const LOADS: readonly Load[] = [
  { label: 'one busy process per core', perCore: 1, isLow: false, fairFactor: 2 },
  { label: 'two busy processes per core', perCore: 2, isLow: false, fairFactor: 3 },
  { label: 'a low-priority process per core', perCore: 1, isLow: true, fairFactor: 1 },
];
/** Of the fair share's time. */
const MUST_SHARE = 1.3;

/** Images of the headless server while other programs use every core: beside the time that a fair share of the processor predicts, and beside the peer. */
export async function compareBusy(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    if (spawnSync('stress-ng', ['--version']).status !== 0) throw new Error('stress-ng is needed to keep the cores busy: apt-get install stress-ng');
    const [form] = PEER_FORMS;
    const server = await HeadlessServer.start(join(folder, 'data'), { entry: builtProgram() });
    const peer = form !== undefined && hasTorchPeer() ? await startPeerServer(CHECKPOINT_DIR, form, folder) : null;
    if (peer === null) console.log('The peer is not installed (npm run peers): its columns are left out.');
    try {
      const ours = imageFrom(server.url);
      const theirs = peer === null ? async () => Number.NaN : imageFrom(peer.url);
      const rowsOf = (label: string, series: { ours: number[]; peer: number[] }): Row => ({
        label,
        unit: 'ms',
        ours: series.ours,
        peer: form === undefined || peer === null ? null : { name: form.name, series: series.peer },
        must: peer === null ? null : 1,
        goal: null,
      });
      const alone = await takeTurns(ROUNDS, ours, theirs);
      const rows = [rowsOf('alone', alone)];
      for (const load of LOADS) {
        const busy = await beside(load, () => takeTurns(ROUNDS, ours, theirs));
        const predictedMs = load.fairFactor * median(alone.ours);
        rows.push(rowsOf(load.label, busy), {
          label: `${load.label}: time relative to a fair share`,
          unit: 'times',
          ours: busy.ours.map((ms) => ms / predictedMs),
          peer: null,
          must: MUST_SHARE,
          goal: 1,
        });
      }
      await publish({ name: 'busy', what: `a ${SIDE_PX} x ${SIDE_PX} image beside other programs that use every core`, rows });
    } finally {
      await server.stop();
      await peer?.stop();
    }
  });
}

function imageFrom(url: string): Run {
  return async (round) => {
    const client = await JobClient.connect(url);
    const [times] = await client.draw(
      [{ ...paramsOf({ prompt: 'a lighthouse in the fog', sidePx: SIDE_PX, seed: round + Math.floor(performance.now()) }), upscale: false }],
      'generated',
    );
    await client.close();
    return times?.generatedMs ?? Number.NaN;
  };
}

/** Runs `work` while stress-ng keeps every core busy. */
async function beside<T>({ perCore, isLow }: Load, work: () => Promise<T>): Promise<T> {
  const command = ['stress-ng', '--cpu', String(perCore * availableParallelism()), '--cpu-method', 'matrixprod', '--quiet'];
  const stress = spawn('nice', ['-n', isLow ? '19' : '0', ...command], { stdio: 'inherit' });
  const gone = once(stress, 'exit');
  try {
    return await work();
  } finally {
    stress.kill('SIGTERM');
    await gone;
  }
}
