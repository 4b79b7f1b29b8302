import { writeFile } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { readPngTexts } from '#main/lib/png.ts';
import { toWireError } from '#shared/protocol/errors.ts';
import type { PictureAnswer, PictureDescription, PictureOrder } from './channel.ts';
import { encodeJpeg } from './jpeg.ts';
import { readPictureHeader } from './picture-header.ts';
import { shrinkPng } from './shrink.ts';

const JPEG_QUALITY = 82;

parentPort?.on('message', (order: PictureOrder) => {
  serve(order).then(
    (description) => answer({ id: order.id, description }),
    (thrown: unknown) => answer({ id: order.id, error: toWireError(thrown) }),
  );
});

async function serve(order: PictureOrder): Promise<PictureDescription | null> {
  if (order.type === 'shrink') {
    await writeFile(order.to, encodeJpeg(await shrinkPng(order.from, order.width), JPEG_QUALITY), { flag: 'wx' });
    return null;
  }
  const header = readPictureHeader(order.bytes);
  return { ...header, texts: header.format === 'png' ? readPngTexts(order.bytes) : [] };
}

function answer(message: PictureAnswer): void {
  parentPort?.postMessage(message);
}
