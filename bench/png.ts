import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { encodePng } from '#main/lib/png.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { paramsOf } from './bench-engine.ts';
import { publish, ROUNDS, takeTurns } from './comparison.ts';
import { HeadlessServer } from './headless-server.ts';

const SIDE_PX = 1024;

/** An enlarged picture of 4096 x 4096 pixels made a PNG while the server draws on every core: ours beside sharp at its default level. */
export async function comparePngs(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bench-png-'));
  const server = await HeadlessServer.start(dataDir);
  try {
    await server.make([paramsOf({ prompt: 'a sailboat on the sea at sunset, watercolor painting', sidePx: SIDE_PX, seed: 7 })]);
    const name = (await readdir(join(dataDir, 'outputs'))).find((file) => file.endsWith('-upscaled.png'));
    if (name === undefined) throw new Error('the server left no enlarged picture');
    const picture = await decodePng(join(dataDir, 'outputs', name));
    const { width, height, data } = picture;
    const bytes = { ours: 0, sharp: 0 };
    const ours = async () => {
      const startedAt = performance.now();
      bytes.ours = (await encodePng(picture, [])).length;
      return performance.now() - startedAt;
    };
    const theirs = async () => {
      const startedAt = performance.now();
      bytes.sharp = (
        await sharp(data, { raw: { width, height, channels: 3 } })
          .png()
          .toBuffer()
      ).length;
      return performance.now() - startedAt;
    };
    const stopDrawing = await server.keepBusy({ ...paramsOf({ prompt: 'a lighthouse at night', sidePx: 512, seed: 0 }) }, 2);
    const series = await takeTurns(ROUNDS, ours, theirs);
    await stopDrawing();
    await publish({
      name: 'png',
      what: 'a picture encoded beside a running job',
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
    await rm(dataDir, { recursive: true });
  }
}
