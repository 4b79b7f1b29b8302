import { spawnSync } from 'node:child_process';
import { writeReliabilityPage } from './reliability-page.ts';
import { writeReport } from './report.ts';

interface Bench {
  what: string;
  /** Duration on two cores. */
  minutes: number;
  run(): Promise<void>;
}

/** In the order in which `all` runs them. */
export const benches: Readonly<Record<string, Bench>> = {
  picture: { what: 'whole images, alone and beside diffusers', minutes: 15, run: async () => (await import('./picture.ts')).measureImages() },
  block: { what: 'a transformer layer of the real width beside diffusers', minutes: 5, run: async () => (await import('./block.ts')).compareBlock() },
  text: { what: 'the text encoder at the real sizes beside transformers', minutes: 5, run: async () => (await import('./text.ts')).compareText() },
  vae: { what: 'the VAE decoder beside diffusers', minutes: 17, run: async () => (await import('./vae.ts')).compareVae() },
  upscale: { what: 'both upscalers beside PyTorch and ncnn', minutes: 8, run: async () => (await import('./upscale.ts')).compareUpscalers() },
  edits: { what: 'images from images, LoRAs and alpha beside plain jobs', minutes: 3, run: async () => (await import('./edits.ts')).compareEdits() },
  repeat: { what: 'images verified and repeated from their recipes', minutes: 3, run: async () => (await import('./repeat.ts')).verifyImages() },
  start: { what: 'process start to the first image, beside FastAPI with diffusers', minutes: 8, run: async () => (await import('./start.ts')).compareStarts() },
  memory: { what: 'memory during and after loading, beside the same peer', minutes: 5, run: async () => (await import('./memory.ts')).compareMemory() },
  binding: { what: "ONNX Runtime's C API beside onnxruntime-node", minutes: 3, run: async () => (await import('./binding.ts')).compareBindings() },
  overhead: { what: 'time of an image outside the models', minutes: 3, run: async () => (await import('./overhead.ts')).measureOverhead() },
  png: { what: 'PNG encoding during a running job, beside sharp', minutes: 3, run: async () => (await import('./png.ts')).comparePngs() },
  busy: { what: 'images beside busy programs and beside the peer', minutes: 20, run: async () => (await import('./busy.ts')).compareBusy() },
  queue: { what: 'eight jobs at once beside one by one', minutes: 4, run: async () => (await import('./queue.ts')).compareQueue() },
  growth: { what: 'growth with the image size and the number of jobs', minutes: 6, run: async () => (await import('./growth.ts')).measureGrowth() },
  fullsize: { what: 'a random checkpoint of the true sizes (uint4 or int8)', minutes: 12, run: async () => (await import('./fullsize.ts')).measureFullSize() },
  window: { what: 'the page in Chromium while all cores are busy', minutes: 6, run: async () => (await import('./window.ts')).measureWindow() },
  'main-thread': {
    what: "event-loop delay of the desktop app's main process",
    minutes: 3,
    run: async () => (await import('./main-thread.ts')).measureMainThread(),
  },
  downloads: { what: 'downloads that are killed or get bad answers', minutes: 5, run: async () => (await import('./downloads.ts')).measureDownloads() },
};

/**
 * `npm run bench -- NAME` measures NAME and writes `bench/results/NAME.json`, `all` measures everything, `report` writes the results into the documents.
 * For `vae` and `growth` another word selects rows: `npm run bench -- vae 1024`. BENCH_ROUNDS=2 makes a quick try without verdicts.
 */
async function main(name = ''): Promise<void> {
  if (name === 'report') {
    await writeReport();
    return writeReliabilityPage();
  }
  if (name === 'all') return runAll();
  const bench = benches[name];
  if (bench !== undefined) return bench.run();
  const list = Object.entries(benches).map(([known, { minutes, what }]) => `  ${known.padEnd(12)} ${what} (${minutes} min)`);
  console.error(`Usage: npm run bench -- NAME\n${list.join('\n')}\n  all          all of them\n  report       writes the results into the documents`);
  process.exitCode = 2;
}

/** Runs each benchmark in a separate process. Continues after a failure, and then exits with 1. */
function runAll(): void {
  const failed = Object.entries(benches).filter(([name, { what, minutes }]) => {
    console.log(`\n${name}: ${what} (about ${minutes} min)`);
    return spawnSync(process.execPath, [import.meta.filename, name], { stdio: ['ignore', 'inherit', 'inherit'] }).status !== 0;
  });
  if (failed.length === 0) return;
  console.error(`\nfailed: ${failed.map(([name]) => name).join(', ')}`);
  process.exitCode = 1;
}

if (import.meta.main) await main(process.argv[2]);
