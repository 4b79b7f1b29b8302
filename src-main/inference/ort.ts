import type { BindingInUse, OrtBinding } from '#shared/domain/device.ts';
import type { CreateSession } from './session.ts';

/** Load a way to make sessions; throw where this machine lacks what it needs. */
export interface Bindings {
  cApi(): Promise<CreateSession>;
  node(): Promise<CreateSession>;
}

/**
 * Sessions through the binding that their options name, loaded when it is first asked for. `auto` takes the C API, and `onnxruntime-node` where that cannot
 * be loaded: `warn` hears of it once. A binding that is named and cannot be loaded throws.
 */
export function createSessionFactory(bindings: Bindings, warn: (sentence: string) => void): CreateSession {
  const loaded = new Map<OrtBinding, Promise<CreateSession>>();
  const load = (binding: OrtBinding): Promise<CreateSession> => {
    if (binding === 'c-api') return bindings.cApi();
    return binding === 'node' ? bindings.node() : first();
  };

  async function first(): Promise<CreateSession> {
    try {
      return await bindings.cApi();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      warn(`ONNX Runtime's C API cannot be called here (${reason}); onnxruntime-node is used, and a cancelled step runs to its end.`);
      return bindings.node();
    }
  }

  return async (graph, options) => {
    const { binding = 'auto' } = options;
    const making = loaded.get(binding) ?? load(binding);
    loaded.set(binding, making);
    return (await making)(graph, options);
  };
}

/** Which binding `createSession` takes in this process for `wanted`, found out by loading ONNX Runtime as it would. */
export async function bindingInUse(wanted: OrtBinding, openApi: () => Promise<unknown> = openCApi): Promise<BindingInUse> {
  if (wanted !== 'auto') return { binding: wanted, reason: 'chosen by name' };
  try {
    await openApi();
    return { binding: 'c-api', reason: 'it can be called here' };
  } catch (cause) {
    return { binding: 'node', reason: `the C API cannot be called here: ${cause instanceof Error ? cause.message : String(cause)}` };
  }
}

async function openCApi(): Promise<void> {
  (await import('./ort-api.ts')).openOrtApi();
}

/** The way to ONNX Runtime. Throws `engine_out_of_memory` or `engine_failed`. */
export const createSession = createSessionFactory(
  {
    cApi: async () => (await import('./ort-c-api.ts')).openApiSessions(),
    node: async () => (await import('./ort-node.ts')).createNodeSession,
  },
  (sentence) => process.emitWarning(sentence),
);
