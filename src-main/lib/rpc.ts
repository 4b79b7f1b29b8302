import { z } from 'zod';
import { errorTable, fromWireError, toWireError, type WireError, wireErrorSchema } from '#shared/protocol/errors.ts';

/**
 * Calls across a process or thread border, described once by a value from which both ends take their types. A call can report events until it is answered
 * and can be cancelled; the serving end can also announce what belongs to no call.
 */
export interface RpcContract {
  calls: Record<string, { params: z.ZodType; result: z.ZodType; events: Record<string, z.ZodType> }>;
  announcements: Record<string, z.ZodType>;
}

type Method<C extends RpcContract> = keyof C['calls'] & string;
type EventName<C extends RpcContract, M extends Method<C>> = keyof C['calls'][M]['events'] & string;
type Announcement<C extends RpcContract> = keyof C['announcements'] & string;
export type RpcParams<C extends RpcContract, M extends Method<C>> = z.output<C['calls'][M]['params']>;
export type RpcResult<C extends RpcContract, M extends Method<C>> = z.output<C['calls'][M]['result']>;
export type RpcListeners<C extends RpcContract, M extends Method<C>> = {
  [E in EventName<C, M>]?: (data: z.output<C['calls'][M]['events'][E]>) => void;
};
type Announced<C extends RpcContract> = { [A in Announcement<C>]: (data: z.output<C['announcements'][A]>) => void };

const idSchema = z.number().int().positive();
const requestSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('call'), id: idSchema, method: z.string(), params: z.unknown() }),
  z.object({ type: z.literal('cancel'), id: idSchema }),
]);
const errorSchema = wireErrorSchema.refine(({ code, data }) => errorTable[code].data.safeParse(data).success, 'the data must fit the code');
const responseSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('event'), id: idSchema, name: z.string(), data: z.unknown() }),
  z.object({ type: z.literal('result'), id: idSchema, result: z.unknown() }),
  z.object({ type: z.literal('error'), id: idSchema, error: errorSchema }),
  z.object({ type: z.literal('announcement'), name: z.string(), data: z.unknown() }),
]);
export type RpcRequest = z.infer<typeof requestSchema>;
export type RpcResponse = z.infer<typeof responseSchema>;
type Send<Message> = (message: Message, transfer: readonly ArrayBuffer[]) => void;

/** Called once, in the same turn as the message. The error is what was thrown at the other end, or what the client was closed with. */
export interface RpcAnswer<Result> {
  onResult(result: Result): void;
  onError(error: Error): void;
}

export interface RpcClient<C extends RpcContract> {
  call<M extends Method<C>>(method: M, params: RpcParams<C, M>, listeners?: RpcListeners<C, M>, transfer?: readonly ArrayBuffer[]): Promise<RpcResult<C, M>>;
  /** A call that can be cancelled by the function returned; it is still answered. */
  start<M extends Method<C>>(method: M, params: RpcParams<C, M>, answer: RpcAnswer<RpcResult<C, M>>, listeners?: RpcListeners<C, M>): () => void;
  /** A message of the other end. Throws `ZodError` where it breaks the contract. */
  receive(message: unknown): void;
  /** Rejects every open call: the other end is gone. */
  close(error: Error): void;
}

export function createRpcClient<C extends RpcContract>(contract: C, send: Send<RpcRequest>, announced: Announced<C>): RpcClient<C> {
  interface Open {
    method: string;
    listeners: Readonly<Record<string, ((data: unknown) => void) | undefined>>;
    answer: RpcAnswer<unknown>;
  }
  const open = new Map<number, Open>();
  const onAnnouncement: Readonly<Record<string, (data: never) => void>> = announced;
  let nextId = 1;

  const settle = (id: number): Open | undefined => {
    const call = open.get(id);
    open.delete(id);
    return call;
  };

  function begin(method: string, params: unknown, answer: unknown, listeners: unknown, transfer: readonly ArrayBuffer[]): () => void {
    const id = nextId++;
    // what they are called with is parsed by the schemas that their types come from
    open.set(id, { method, listeners: listeners as Open['listeners'], answer: answer as Open['answer'] });
    send({ type: 'call', id, method, params }, transfer);
    return () => send({ type: 'cancel', id }, []);
  }

  return {
    call: (method, params, listeners = {}, transfer = []) =>
      new Promise((onResult, onError) => {
        begin(method, params, { onResult, onError }, listeners, transfer);
      }),
    start: (method, params, answer, listeners = {}) => begin(method, params, answer, listeners, []),
    receive(message) {
      const response = responseSchema.parse(message);
      if (response.type === 'announcement') {
        const data = schemaOf(contract.announcements, response.name).parse(response.data);
        onAnnouncement[response.name]?.(data as never);
        return;
      }
      const call = open.get(response.id);
      // a call of an earlier client may still be answered
      if (call === undefined) return;
      const { result, events } = methodOf(contract, call.method);
      if (response.type === 'event') {
        const data = schemaOf(events, response.name).parse(response.data);
        call.listeners[response.name]?.(data);
      } else if (response.type === 'error') settle(response.id)?.answer.onError(fromWireError(response.error));
      else {
        const value = result.parse(response.result);
        settle(response.id)?.answer.onResult(value);
      }
    },
    close(error) {
      for (const id of [...open.keys()]) settle(id)?.answer.onError(error);
    },
  };
}

/** What a handler can do beside returning its result. */
export interface RpcContext<C extends RpcContract, M extends Method<C>> {
  /** Aborted when the caller cancels. */
  signal: AbortSignal;
  emit<E extends EventName<C, M>>(name: E, data: z.output<C['calls'][M]['events'][E]>): void;
  /** Buffers that are handed over with the result instead of copied. */
  transfer: ArrayBuffer[];
}

export type RpcHandlers<C extends RpcContract> = {
  [M in Method<C>]: (params: RpcParams<C, M>, context: RpcContext<C, M>) => Promise<RpcResult<C, M>>;
};

export interface RpcServer<C extends RpcContract> {
  /** A message of the calling end. Throws `ZodError` where it breaks the contract. */
  receive(message: unknown): void;
  announce<A extends Announcement<C>>(name: A, data: z.output<C['announcements'][A]>): void;
}

/** The end that answers. `toError` turns what a handler throws into what crosses the border. */
export function createRpcServer<C extends RpcContract>(
  contract: C,
  send: Send<RpcResponse>,
  handlers: RpcHandlers<C>,
  toError: (thrown: unknown) => WireError = toWireError,
): RpcServer<C> {
  const controllers = new Map<number, AbortController>();

  async function answer(id: number, method: Method<C>, params: unknown): Promise<void> {
    const controller = new AbortController();
    const transfer: ArrayBuffer[] = [];
    controllers.set(id, controller);
    try {
      const parsed = methodOf(contract, method).params.parse(params) as RpcParams<C, Method<C>>;
      const emit = (name: string, data: unknown) => send({ type: 'event', id, name, data }, []);
      const result = await handlers[method](parsed, { signal: controller.signal, transfer, emit });
      send({ type: 'result', id, result }, transfer);
    } catch (thrown) {
      send({ type: 'error', id, error: toError(thrown) }, []);
    } finally {
      controllers.delete(id);
    }
  }

  return {
    receive(message) {
      const request = requestSchema.parse(message);
      if (request.type === 'cancel') controllers.get(request.id)?.abort();
      else void answer(request.id, request.method, request.params);
    },
    announce: (name, data) => send({ type: 'announcement', name, data }, []),
  };
}

function methodOf(contract: RpcContract, method: string) {
  return z.custom<RpcContract['calls'][string]>((found) => found !== undefined, `the contract has no call ${method}`).parse(contract.calls[method]);
}

function schemaOf(schemas: Record<string, z.ZodType>, name: string): z.ZodType {
  return z.custom<z.ZodType>((found) => found !== undefined, `the contract has no ${name}`).parse(schemas[name]);
}
