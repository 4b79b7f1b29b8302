import { availableParallelism } from 'node:os';
import { ortBindings } from '#shared/domain/device.ts';
import { openBundled } from './bundled-models.ts';

/** Started by `npm run bench -- binding`: one step and one picture decoded through a binding; the largest memory of the process goes to standard output. */
async function main(): Promise<void> {
  const [, , cacheDir = '', name] = process.argv;
  const binding = ortBindings.find((known) => known === name);
  if (binding === undefined) throw new Error(`a binding is one of ${ortBindings.join(', ')}; met ${name}`);
  const { step, decode } = await openBundled(cacheDir, { threads: availableParallelism(), binding });
  await step();
  await decode();
  console.log(process.resourceUsage().maxRSS * 1024);
}

await main();
