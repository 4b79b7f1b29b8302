import { catchEndSignals } from './end-signals.ts';
import type { Command } from './run-command.ts';

/** The commands with an engine or a data folder of their own. Each is loaded only when it runs. */
export const commands = {
  serve: async () => {
    const signals = catchEndSignals();
    const { serve } = await import('./serve.ts');
    return (argv: readonly string[]) => serve(argv, signals);
  },
  generate: async () => (await import('./generate.ts')).generate,
  'local-upscale': async () => (await import('./upscale.ts')).upscale,
  'local-models': async () => (await import('./models.ts')).models,
  cuda: async () => (await import('./cuda.ts')).cuda,
  doctor: async () => (await import('./doctor.ts')).doctor,
  compile: async () => (await import('./compile.ts')).compile,
  verify: async () => (await import('./verify.ts')).verify,
  parity: async () => (await import('./parity.ts')).parity,
} satisfies Record<string, () => Promise<Command>>;
