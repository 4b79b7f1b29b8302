import { paramsOf } from './harness/bench-engine.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { JobClient } from './harness/job-client.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';

const JOBS = 8;
const SIDE_PX = 256;

/** Eight jobs at once beside eight one by one, each to its upscaled image: encoding and writing should overlap with the next job's model. */
export async function compareQueue(): Promise<void> {
  await withTemporaryFolder(async (dataDir) => {
    const server = await HeadlessServer.start(dataDir);
    try {
      const client = await JobClient.connect(server.url);
      let seed = 0;
      const eight = () => Array.from({ length: JOBS }, () => paramsOf({ prompt: 'a lighthouse on a beach at night', sidePx: SIDE_PX, seed: seed++ }));
      const atOnce = () => timeMs(() => client.draw(eight(), 'completed'));
      const oneByOne = () =>
        timeMs(async () => {
          for (const params of eight()) await client.draw([params], 'completed');
        });
      const series = await takeTurns(ROUNDS, atOnce, oneByOne);
      await client.close();
      const peer = { name: 'one by one', series: series.peer };
      await publish({
        name: 'queue',
        what: `${JOBS} jobs at once beside one by one`,
        rows: [{ label: `${JOBS} jobs, ${SIDE_PX} x ${SIDE_PX} and its 4x`, unit: 'ms', ours: series.ours, peer, must: 1, goal: 0.9 }],
      });
    } finally {
      await server.stop();
    }
  });
}
