import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { paramsOf } from './harness/bench-engine.ts';
import { builtProgram } from './harness/built-program.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { JobClient } from './harness/job-client.ts';
import { startPeerServer } from './harness/peer-server.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';
import { PEER_FORMS, type PeerForm } from './harness/torch-peer.ts';

const SIDE_PX = 256;
const CHECKPOINT_DIR = join(resourcesDir, 'models/storybook-uint4');

/** From process start to the first 256 x 256 image on the disk: the built program with and without compiled graphs, beside FastAPI with diffusers. */
export async function compareStarts(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const entry = builtProgram();
    const ours = (dataDir: string, seed: number) =>
      untilFirstPicture(() => HeadlessServer.start(dataDir, { entry, env: { NODE_DISABLE_COMPILE_CACHE: '1' } }), seed, 'completed');
    const peerIn = (form: PeerForm) => (seed: number) => untilFirstPicture(() => startPeerServer(CHECKPOINT_DIR, form, folder), seed, 'generated');

    const forms: { form: PeerForm; ms: number }[] = [];
    for (const form of PEER_FORMS) forms.push({ form, ms: await peerIn(form)(0) });
    const [best] = forms.toSorted((a, b) => a.ms - b.ms);
    if (best === undefined) throw new Error('the peer has no form to start in');
    const peer = peerIn(best.form);

    const warmDir = join(folder, 'warm');
    const warm = await takeTurns(ROUNDS, (round) => ours(warmDir, round), peer);
    const cold = await takeTurns(ROUNDS, (round) => ours(join(folder, `cold-${round}`), round), peer);
    const row = (label: string, series: { ours: number[]; peer: number[] }): Row => ({
      label,
      unit: 'ms',
      ours: series.ours,
      peer: { name: best.form.name, series: series.peer },
      must: 0.33,
      goal: 0.2,
    });
    await publish({
      name: 'start',
      what: `process start to the first ${SIDE_PX} x ${SIDE_PX} image, files in the page cache, beside FastAPI with diffusers and sdnq`,
      rows: [row('graphs already compiled', warm), row('first start: graphs are compiled', cold)],
    });
  });
}

/** Our server is stopped only after `completed`, since its next start would begin with an unfinished upscale. */
async function untilFirstPicture(
  start: () => Promise<{ url: string; stop(): Promise<void> }>,
  seed: number,
  thenUntil: 'generated' | 'completed',
): Promise<number> {
  const startedAt = performance.now();
  const server = await start();
  try {
    const client = await JobClient.connect(server.url);
    const askedAt = performance.now();
    const [times] = await client.draw([paramsOf({ prompt: 'an owl with a red scarf in the snow', sidePx: SIDE_PX, seed })], thenUntil);
    await client.close();
    return askedAt - startedAt + (times?.generatedMs ?? Number.NaN);
  } finally {
    await server.stop();
  }
}
