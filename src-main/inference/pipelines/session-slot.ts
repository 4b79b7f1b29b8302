import type { CompiledGraph } from '#main/lib/compiled.ts';
import type { Session } from '../session.ts';

/**
 * Sessions that share one place in memory: a graph is loaded when it is first run and leaves when another one is. What a denoising loop runs stays loaded
 * for all its steps. `load` makes a session.
 */
export function createSessionSlot(load: (graph: CompiledGraph) => Promise<Session>): (graph: CompiledGraph) => Session {
  let held: { graph: CompiledGraph; session: Session } | null = null;

  async function release(): Promise<void> {
    const gone = held;
    held = null;
    await gone?.session.release();
  }

  return (graph) => ({
    async run(inputs, signal) {
      if (held?.graph !== graph) {
        await release();
        held = { graph, session: await load(graph) };
      }
      return held.session.run(inputs, signal);
    },
    async release() {
      if (held?.graph === graph) await release();
    },
  });
}
