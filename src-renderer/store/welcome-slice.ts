import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { readStored, writeStored } from '../client/stored.ts';
import type { Job } from './jobs.ts';
import type { StudioDeps, StudioState, WelcomeSlice } from './state.ts';

const WELCOMED_KEY = 'zimage.welcomed';

const TRIAL_SIDE_PX = 256;

/** A small image with the usual number of steps. The seed differs each time, because a repeated request returns the saved result. */
const trialParams = (prompt: string, seed: number): TextToImageParams => ({
  prompt,
  width: TRIAL_SIDE_PX,
  height: TRIAL_SIDE_PX,
  steps: 9,
  guidance_scale: 0,
  seed,
  model_type: 'uint4',
});

type Needs = WelcomeSlice & Pick<StudioState, 'submit'>;

export function createWelcomeSlice({ storage, randomSeed }: Pick<StudioDeps, 'storage' | 'randomSeed'>): StateCreator<Needs, [], [], WelcomeSlice> {
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

/** The job of the speed test; null until the server has accepted it. */
export function trialJob({ jobs, trialSeed }: Pick<StudioState, 'jobs' | 'trialSeed'>): Job | null {
  if (trialSeed === null) return null;
  return Object.values(jobs).find(({ params }) => params?.seed === trialSeed && params.width === TRIAL_SIDE_PX) ?? null;
}

/** True on the server's own machine before its first image: setup opens then. */
export function isFirstRun({ isWelcomed, info }: Pick<StudioState, 'isWelcomed' | 'info'>): boolean {
  return !isWelcomed && info !== null && info.access.from_this_machine && info.queue.measured.length === 0 && info.queue.running + info.queue.waiting === 0;
}
