import { compareBlock } from './block.ts';
import { compareBlockToFloor } from './block-floor.ts';
import { measureDownloads } from './downloads.ts';
import { measurePictures } from './picture.ts';
import { compareTilesToWhole } from './seam.ts';
import { compareText } from './text.ts';
import { compareUpscalers } from './upscale.ts';
import { compareVae } from './vae.ts';
import { measureWindow } from './window.ts';

export interface Bench {
  what: string;
  /** How long it takes on two cores. */
  minutes: number;
  run(): Promise<void>;
}

/** In the order in which `all` runs them: what the others rest on comes first. */
export const benches: Readonly<Record<string, Bench>> = {
  picture: { what: 'whole pictures, alone and beside diffusers', minutes: 15, run: measurePictures },
  block: { what: 'one transformer layer of the real width beside diffusers', minutes: 5, run: compareBlock },
  'block-floor': { what: 'the same layer beside the bare products in it', minutes: 3, run: compareBlockToFloor },
  text: { what: 'text encoder of the real sizes beside transformers', minutes: 5, run: compareText },
  vae: { what: "VAE's decoder beside diffusers", minutes: 15, run: compareVae },
  upscale: { what: 'both upscalers beside PyTorch', minutes: 8, run: compareUpscalers },
  seam: { what: 'tiles beside the whole picture', minutes: 5, run: compareTilesToWhole },
  window: { what: 'the page in Chromium while every core is busy', minutes: 6, run: measureWindow },
  downloads: { what: 'downloads killed and lied to', minutes: 5, run: measureDownloads },
};
