import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { readStored, writeStored } from '../client/stored.ts';
import type { Job } from './jobs.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

const WELCOMED_KEY = 'zimage.welcomed';

export interface WelcomeSlice {
  /** True once somebody went through the first run's questions in this browser, or skipped them. */
  isWelcomed: boolean;
  /** True while they are shown. */
  isWelcomeOpen: boolean;
  openWelcome(): void;
  closeWelcome(): void;
  /** Of the image whose time is taken; null before there is one. */
  trialSeed: number | null;
  /** Makes one small image, an ordinary job. */
  startTrial(prompt: string): void;
}

const TRIAL_SIDE = 256;

/** Small, yet of the steps that an image usually has; the seed is another each time, since an old image would be given back at once. */
const trialParams = (prompt: string, seed: number): TextToImageParams => ({
  prompt,
  width: TRIAL_SIDE,
  height: TRIAL_SIDE,
  steps: 9,
  guidance_scale: 0,
  seed,
  model_type: 'uint4',
});

export function createWelcomeSlice({ storage, randomSeed }: StudioDeps): StateCreator<StudioState, [], [], WelcomeSlice> {
  return (set, get) => ({
    isWelcomed: readStored(storage, WELCOMED_KEY, z.boolean(), false),
    isWelcomeOpen: false,
    trialSeed: null,

    openWelcome() {
      set({ isWelcomeOpen: true, trialSeed: null });
    },

    closeWelcome() {
      set({ isWelcomeOpen: false, isWelcomed: true });
      writeStored(storage, WELCOMED_KEY, true);
    },

    startTrial(prompt) {
      const seed = randomSeed();
      set({ trialSeed: seed });
      get().submit([trialParams(prompt, seed)]);
    },
  });
}

/** The image whose time is taken, null before the server has heard of it. */
export function trialJob({ jobs, trialSeed }: Pick<StudioState, 'jobs' | 'trialSeed'>): Job | null {
  if (trialSeed === null) return null;
  return Object.values(jobs).find(({ params }) => params?.seed === trialSeed && params.width === TRIAL_SIDE) ?? null;
}

/** The questions come by themselves on the server's own machine, before its first image. */
export function isFirstRun({ isWelcomed, info }: Pick<StudioState, 'isWelcomed' | 'info'>): boolean {
  return !isWelcomed && info !== null && info.access.from_this_machine && info.queue.measured.length === 0 && info.queue.running + info.queue.waiting === 0;
}
