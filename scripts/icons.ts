// Renders build/icon.svg in every size that the systems need: npm run icons
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import sharp from 'sharp';

const root = resolve(import.meta.dirname, '..');
const svg = readFileSync(join(root, 'build/icon.svg'));
const linuxSizes = [16, 24, 32, 48, 64, 96, 128, 256, 512];
const windowsSizes = [16, 24, 32, 48, 64, 128, 256];

const draw = (side: number): Promise<Buffer> =>
  sharp(svg, { density: (72 * side * 2) / 512 })
    .resize(side, side)
    .png({ compressionLevel: 9 })
    .toBuffer();

/** Windows icon file: a directory with 16 bytes per image, then the PNGs. Source: Win32 `ICONDIR` and `ICONDIRENTRY`. */
function icoOf(images: ReadonlyArray<{ side: number; png: Buffer }>): Buffer {
  const header = Buffer.alloc(6 + 16 * images.length);
  header.writeUInt16LE(1, 2);
  header.writeUInt16LE(images.length, 4);
  let offset = header.length;
  for (const [at, { side, png }] of images.entries()) {
    const entry = 6 + 16 * at;
    header.writeUInt8(side % 256, entry);
    header.writeUInt8(side % 256, entry + 1);
    header.writeUInt16LE(1, entry + 4);
    header.writeUInt16LE(32, entry + 6);
    header.writeUInt32LE(png.length, entry + 8);
    header.writeUInt32LE(offset, entry + 12);
    offset += png.length;
  }
  return Buffer.concat([header, ...images.map(({ png }) => png)]);
}

mkdirSync(join(root, 'build/icons'), { recursive: true });
mkdirSync(join(root, 'resources/icons'), { recursive: true });
for (const side of linuxSizes) writeFileSync(join(root, `build/icons/${side}x${side}.png`), await draw(side));
writeFileSync(join(root, 'build/icon.ico'), icoOf(await Promise.all(windowsSizes.map(async (side) => ({ side, png: await draw(side) })))));
writeFileSync(join(root, 'resources/icons/icon.png'), await draw(256));
writeFileSync(join(root, 'resources/icons/tray.png'), await draw(22));
writeFileSync(join(root, 'resources/icons/tray@2x.png'), await draw(44));
