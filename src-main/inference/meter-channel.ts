import type { WireError } from '#shared/protocol/errors.ts';
import type { PromptLength } from './create-tokenizer.ts';

/** What the server's thread and the one that holds tokenizers say to each other; both are one process, so nothing is checked again. */

export interface MeterOrder {
  id: number;
  /** Checkpoint folder, and the hash of its content. */
  dir: string;
  identity: string;
  prompt: string;
}

export type MeterAnswer = { id: number; length: PromptLength } | { id: number; error: WireError };
