import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { paramsOf } from './bench-engine.ts';
import { builtProgram } from './built-program.ts';
import { type Comparison, publish, ROUNDS, takeTurns } from './comparison.ts';
import { HeadlessServer } from './headless-server.ts';
import { JobClient } from './job-client.ts';
import { startPeerServer } from './peer-server.ts';
import { PEER_FORMS, type PeerForm } from './torch-peer.ts';

const SIDE_PX = 256;
const CHECKPOINT_DIR = join(resourcesDir, 'models/storybook-uint4');

/** From the start of the process to the first 256 x 256 picture on the disk: the built program with and without graphs in its cache, beside a server of the original's shape. */
export async function compareStarts(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-start-'));
  try {
    const entry = builtProgram();
    const ours = (dataDir: string, seed: number) =>
      untilFirstPicture(() => HeadlessServer.start(dataDir, { entry, env: { NODE_DISABLE_COMPILE_CACHE: '1' } }), seed, 'completed');
    const peerIn = (form: PeerForm) => (seed: number) => untilFirstPicture(() => startPeerServer(CHECKPOINT_DIR, form, folder), seed, 'generated');

    const forms: { form: PeerForm; ms: number }[] = [];
    for (const form of PEER_FORMS) forms.push({ form, ms: await peerIn(form)(0) });
    const [best] = forms.toSorted((a, b) => a.ms - b.ms);
    if (best === undefined) throw new Error('there is no form to start the peer in');
    const peer = peerIn(best.form);

    const warmDir = join(folder, 'warm');
    const warm = await takeTurns(ROUNDS, (round) => ours(warmDir, round), peer);
    const cold = await takeTurns(ROUNDS, (round) => ours(join(folder, `cold-${round}`), round), peer);
    const row = (label: string, series: { ours: number[]; peer: number[] }): Comparison => ({
      label,
      unit: 'ms',
      ours: series.ours,
      peer: { name: best.form.name, series: series.peer },
      must: 0.33,
      goal: 0.2,
    });
    await publish({
      name: 'start',
      what: `process start to the first ${SIDE_PX} x ${SIDE_PX} picture, files in the page cache, beside FastAPI with diffusers and sdnq`,
      versions: {},
      rows: [row('graphs compiled before', warm), row('graphs compiled on the way, nothing kept', cold)],
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Ours is let go on to `completed` before it ends, or its next start would begin with the enlargement that was left. */
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
