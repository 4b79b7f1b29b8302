import { createRequire } from 'node:module';
import type Sharp from 'sharp';

const requireHere = createRequire(import.meta.url);

/** What we read. Of libvips' many loaders no other one ever sees a byte: its lists differ between builds, and some draw text or run scripts. */
const loaders = ['Png', 'Jpeg', 'Webp', 'Heif', 'Tiff', 'Nsgif'].map((name) => `VipsForeignLoad${name}`);

/**
 * Loads sharp: its WebAssembly build in Electron on Linux, its native build everywhere else.
 * Electron on Linux is linked against the system's GLib, and the copy inside the native build has the same symbols: images leak, and later versions crash.
 */
export function loadSharp(useWasm = process.versions['electron'] !== undefined && process.platform === 'linux'): typeof Sharp {
  if (useWasm) replaceNativeBuild();
  const sharp: typeof Sharp = requireHere('sharp');
  // the model needs the cores and the memory
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: loaders });
  return sharp;
}

/** sharp takes the native build if that is installed, as it is beside the sources; a package for Linux holds only the other one. */
function replaceNativeBuild(): void {
  const requireFromSharp = createRequire(requireHere.resolve('sharp'));
  const wasm = requireFromSharp.resolve('@img/sharp-wasm32/sharp.node');
  requireFromSharp(wasm);
  for (const libc of ['linux', 'linuxmusl']) {
    try {
      requireFromSharp.cache[requireFromSharp.resolve(`@img/sharp-${libc}-${process.arch}/sharp.node`)] = requireFromSharp.cache[wasm];
    } catch {
      // this native build is not installed
    }
  }
}
