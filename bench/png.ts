import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { encodePng } from '#main/lib/png.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { paramsOf } from './harness/bench-engine.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';

const SIDE_PX = 1024;

/** An upscaled image of 4096 x 4096 pixels encoded as PNG while the server generates on all cores: ours beside sharp at its default level. */
export async function comparePngs(): Promise<void> {
  await withTemporaryFolder(async (dataDir) => {
    const server = await HeadlessServer.start(dataDir);
    try {
      await server.make([paramsOf({ prompt: 'a sailboat on the sea at sunset, watercolor painting', sidePx: SIDE_PX, seed: 7 })]);
      const name = (await readdir(join(dataDir, 'outputs'))).find((file) => file.endsWith('-upscaled.png'));
      if (name === undefined) throw new Error('the server left no upscaled image');
      const image = await decodePng(join(dataDir, 'outputs', name));
      const { width, height, data } = image;
      const bytes = { ours: 0, sharp: 0 };
      const ours = async () => {
        bytes.ours = (await encodePng(image, [])).length;
      };
      const theirs = async () => {
        const png = sharp(data, { raw: { width, height, channels: 3 } }).png();
        bytes.sharp = (await png.toBuffer()).length;
      };
      const stopDrawing = await server.keepBusy({ ...paramsOf({ prompt: 'a lighthouse at night', sidePx: 512, seed: 0 }) }, 2);
      const series = await takeTurns(
        ROUNDS,
        () => timeMs(ours),
        () => timeMs(theirs),
      );
      await stopDrawing();
      await publish({
        name: 'png',
        what: 'an image encoded during a running job',
        versions: { sharp: sharp.versions.sharp ?? 'unknown' },
        rows: [
          {
            label: `${width} x ${height}`,
            unit: 'ms',
            ours: series.ours,
            peer: { name: 'sharp, default level', series: series.peer },
            must: 0.4,
            goal: 0.25,
            note: `${(bytes.ours / 1e6).toFixed(1)} MB, sharp ${(bytes.sharp / 1e6).toFixed(1)} MB`,
          },
        ],
      });
    } finally {
      await server.stop();
    }
  });
}
