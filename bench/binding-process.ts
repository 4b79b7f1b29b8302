import { availableParallelism } from 'node:os';
import { ortBindings } from '#shared/domain/device.ts';
import { openBundled } from './harness/bundled-models.ts';

/** A process of `npm run bench -- binding`: runs one step and one decode through a binding and prints its peak memory in bytes. */
async function main(): Promise<void> {
  const [, , cacheDir = '', name] = process.argv;
  const binding = ortBindings.find((known) => known === name);
  if (binding === undefined) throw new Error(`The binding must be one of ${ortBindings.join(', ')}, not ${name}.`);
  const { step, decode } = await openBundled(cacheDir, { threads: availableParallelism(), binding });
  await step();
  await decode();
  console.log(process.resourceUsage().maxRSS * 1024);
}

await main();
