import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { readCommandOptions } from '#main/config/command-options.ts';
import { fuzzServer } from '../tests/fuzz/fuzz-server.ts';
import { runParts } from './harness/run-parts.ts';

/** `npm run fuzz [-- --messages 100000 --seed N]`: valid and damaged messages and requests. */
const USAGE = 'npm run fuzz -- [--messages COUNT] [--seed NUMBER]';
const optionsSchema = z.object({
  messages: z.coerce.number().int().min(100).default(100_000),
  seed: z.coerce.number().int().min(0).max(0xffff_ffff).optional(),
});
const { messages, seed = randomInt(0xffff_ffff) } = readCommandOptions(optionsSchema, USAGE);
console.log(`npm run fuzz -- --messages ${messages} --seed ${seed}`);
await runParts('fuzz', { fuzz: { duration: 'four minutes for 100,000 messages', measure: () => fuzzServer(messages, seed) } }, []);
