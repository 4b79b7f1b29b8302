import { type AskingThread, startAskingThread } from '#main/lib/asking-thread.ts';
import type { PromptLength } from './create-tokenizer.ts';

/** A prompt for the tokenizer of a checkpoint: its folder, and the hash of its content. */
export interface MeterOrder {
  dir: string;
  fingerprint: string;
  prompt: string;
}

export interface PromptMeter {
  /** Rejects as `loadTokenizer`. */
  measure(checkpoint: { dir: string; fingerprint: string }, prompt: string): Promise<PromptLength>;
  close(): Promise<void>;
}

/**
 * Measures prompts with the tokenizer of a checkpoint, in a thread of its own that starts with the first one: parsing the 11 MB of a large tokenizer takes a
 * second in which no other request would be answered. Should the thread end all the same, a later call starts another.
 * @param entry Its file, `meter-thread.ts` or what it is built to.
 */
export function createPromptMeter(entry: string): PromptMeter {
  let running: AskingThread<MeterOrder, PromptLength> | null = null;
  return {
    measure({ dir, fingerprint }, prompt) {
      running ??= startAskingThread(entry, 'measures prompts', () => {
        running = null;
      });
      return running.ask({ dir, fingerprint, prompt });
    },
    async close() {
      await running?.end();
    },
  };
}
