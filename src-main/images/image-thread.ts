import { writeFile } from 'node:fs/promises';
import { answerOrders } from '#main/lib/answer-orders.ts';
import { readPngTexts } from '#main/lib/png.ts';
import type { PictureDescription, PictureOrder } from './channel.ts';
import { readPictureHeader } from './image-header.ts';
import { encodeJpeg } from './jpeg.ts';
import { shrinkPng } from './shrink.ts';

const JPEG_QUALITY = 82;

answerOrders(serve);

async function serve(order: PictureOrder): Promise<PictureDescription | null> {
  if (order.type === 'shrink') {
    await writeFile(order.to, encodeJpeg(await shrinkPng(order.from, order.width), JPEG_QUALITY), { flag: 'wx' });
    return null;
  }
  const header = readPictureHeader(order.bytes);
  return { ...header, texts: header.format === 'png' ? readPngTexts(order.bytes) : [] };
}
