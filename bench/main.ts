import { compareBlock } from './block.ts';
import { measureDownloads } from './downloads.ts';
import { measurePictures } from './picture.ts';
import { writeReport } from './report.ts';
import { compareText } from './text.ts';
import { compareUpscalers } from './upscale.ts';
import { compareVae } from './vae.ts';
import { measureWindow } from './window.ts';

const commands: Record<string, () => Promise<void>> = {
  picture: measurePictures,
  block: compareBlock,
  text: compareText,
  vae: compareVae,
  upscale: compareUpscalers,
  window: measureWindow,
  downloads: measureDownloads,
  report: writeReport,
};

/** `npm run bench -- NAME`: measures NAME and writes `bench/results/NAME.json`; `report` puts the results into the documents. */
async function main(): Promise<void> {
  const name = process.argv[2] ?? '';
  const command = commands[name];
  if (!command) {
    console.error(`npm run bench -- NAME, where NAME is one of ${Object.keys(commands).join(', ')}; met ${JSON.stringify(name)}`);
    process.exitCode = 2;
    return;
  }
  await command();
}

await main();
