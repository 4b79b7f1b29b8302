export interface Bench {
  what: string;
  /** How long it takes on two cores. */
  minutes: number;
  run(): Promise<void>;
}

/** In the order in which `all` runs them: what the others rest on comes first. */
export const benches: Readonly<Record<string, Bench>> = {
  picture: { what: 'whole pictures, alone and beside diffusers', minutes: 15, run: async () => (await import('./picture.ts')).measurePictures() },
  block: { what: 'a transformer layer of the real width beside diffusers', minutes: 5, run: async () => (await import('./block.ts')).compareBlock() },
  'block-floor': { what: 'the same beside the products in it', minutes: 3, run: async () => (await import('./block-floor.ts')).compareBlockToFloor() },
  text: { what: 'text encoder of the real sizes beside transformers', minutes: 5, run: async () => (await import('./text.ts')).compareText() },
  vae: { what: "the VAE's decoder beside diffusers", minutes: 17, run: async () => (await import('./vae.ts')).compareVae() },
  upscale: { what: 'both upscalers beside PyTorch', minutes: 8, run: async () => (await import('./upscale.ts')).compareUpscalers() },
  seam: { what: 'tiles beside the whole picture', minutes: 6, run: async () => (await import('./seam.ts')).compareTilesToWhole() },
  start: { what: 'to the first picture, beside FastAPI with diffusers', minutes: 8, run: async () => (await import('./start.ts')).compareStarts() },
  load: { what: 'memory while loading and after', minutes: 5, run: async () => (await import('./loading.ts')).compareLoading() },
  binding: { what: 'ONNX Runtime by its C API beside onnxruntime-node', minutes: 3, run: async () => (await import('./binding.ts')).compareBindings() },
  overhead: { what: "a picture's time outside the models", minutes: 3, run: async () => (await import('./overhead.ts')).measureOverhead() },
  png: { what: 'encoding beside a running job, and sharp', minutes: 3, run: async () => (await import('./png.ts')).comparePngs() },
  queue: { what: 'eight jobs at once and one by one', minutes: 4, run: async () => (await import('./queue.ts')).compareQueue() },
  repeat: { what: 'a prompt again with another seed', minutes: 1, run: async () => (await import('./repeat.ts')).compareRepeats() },
  growth: { what: 'with the size of pictures and the number of jobs', minutes: 6, run: async () => (await import('./growth.ts')).measureGrowth() },
  fullsize: {
    what: 'a random checkpoint of the true sizes, compiled, loaded, to a picture (int8 after the name: that kind)',
    minutes: 12,
    run: async () => (await import('./fullsize.ts')).measureFullSize(),
  },
  window: { what: 'the page in Chromium while every core is busy', minutes: 6, run: async () => (await import('./window.ts')).measureWindow() },
  downloads: { what: 'downloads killed and lied to', minutes: 5, run: async () => (await import('./downloads.ts')).measureDownloads() },
};
