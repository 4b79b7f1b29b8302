import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { paramsOf } from './bench-engine.ts';
import { publish, ROUNDS, takeTurns } from './comparison.ts';
import { HeadlessServer } from './headless-server.ts';
import { JobClient } from './job-client.ts';

const JOBS = 8;
const SIDE_PX = 256;

/** Eight jobs at once beside eight one after the other, each to its enlarged picture: whether encoding and writing overlap with the next job's model. */
export async function compareQueue(): Promise<void> {
  const dataDir = await mkdtemp(`${tmpdir()}/bench-queue-`);
  const server = await HeadlessServer.start(dataDir);
  try {
    const client = await JobClient.connect(server.url);
    let seed = 0;
    const eight = () => Array.from({ length: JOBS }, () => paramsOf({ prompt: 'a lighthouse on a beach at night', sidePx: SIDE_PX, seed: seed++ }));
    const timed = async (work: () => Promise<void>): Promise<number> => {
      const startedAt = performance.now();
      await work();
      return performance.now() - startedAt;
    };
    const atOnce = () => timed(async () => void (await client.draw(eight(), 'completed')));
    const oneByOne = () =>
      timed(async () => {
        for (const params of eight()) await client.draw([params], 'completed');
      });
    const series = await takeTurns(ROUNDS, atOnce, oneByOne);
    await client.close();
    const peer = { name: 'one after the other', series: series.peer };
    await publish({
      name: 'queue',
      what: `${JOBS} jobs at once beside the same number one after the other`,
      versions: {},
      rows: [{ label: `${JOBS} jobs, ${SIDE_PX} x ${SIDE_PX} and its 4x`, unit: 'ms', ours: series.ours, peer, must: 1, goal: 0.9 }],
    });
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true });
  }
}
