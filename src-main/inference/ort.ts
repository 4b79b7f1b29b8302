import type { CreateSession, OrtBinding } from './session.ts';

/** The way to a session: through the binding that the options name. */
export const createSession: CreateSession = async (graph, options) => {
  const create = await sessionsBy(options.binding ?? DEFAULT_BINDING);
  return create(graph, options);
};

const DEFAULT_BINDING: OrtBinding = 'node';

/** Each binding is loaded when it is first asked for. */
async function sessionsBy(binding: OrtBinding): Promise<CreateSession> {
  return binding === 'c-api' ? (await import('./ort-c-api.ts')).createApiSession : (await import('./ort-node.ts')).createNodeSession;
}
