import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { AppError } from '#shared/protocol/errors.ts';
import { createRpcClient, createRpcServer, type RpcContract, type RpcHandlers } from './rpc.ts';

const contract = {
  calls: {
    double: { params: z.number(), result: z.number(), events: { half: z.number() } },
    wait: { params: z.null(), result: z.null(), events: {} },
  },
  announcements: { hello: z.string() },
} satisfies RpcContract;

function connected(change: Partial<RpcHandlers<typeof contract>> = {}) {
  const heard: string[] = [];
  const server = createRpcServer(contract, (message) => client.receive(structuredClone(message)), {
    async double(value, { emit }) {
      emit('half', value / 2);
      return value * 2;
    },
    wait: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new AppError('cancelled', 'stopped', {})));
      }),
    ...change,
  });
  const client = createRpcClient(contract, (message) => server.receive(structuredClone(message)), { hello: (text) => heard.push(text) });
  return { client, server, heard };
}

test('a call is answered after its events; announcements belong to none', async () => {
  const { client, server, heard } = connected();
  const halves: number[] = [];
  expect(await client.call('double', 6, { half: (half) => halves.push(half) })).toBe(12);
  expect(await Promise.all([1, 2].map((value) => client.call('double', value)))).toEqual([2, 4]);
  server.announce('hello', 'there');
  expect([halves, heard]).toEqual([[3], ['there']]);
});

test('a cancel reaches the handler, and its error the caller', async () => {
  const { client } = connected();
  const error = await new Promise((onError) => {
    const cancel = client.start('wait', null, { onResult: () => {}, onError });
    cancel();
    cancel();
  });
  expect(error).toMatchObject({ code: 'cancelled', message: 'stopped' });
});

test('closing rejects what is open, and a late answer is ignored', async () => {
  const { client } = connected();
  const call = client.call('wait', null);
  client.close(new Error('gone'));
  await expect(call).rejects.toThrow('gone');
  client.receive({ type: 'result', id: 1, result: null });
});

test('buffers are handed over', () => {
  const sent: (readonly ArrayBuffer[])[] = [];
  const buffer = new ArrayBuffer(4);
  createRpcClient(contract, (_, transfer) => sent.push(transfer), { hello: () => {} })
    .call('double', 1, {}, [buffer])
    .catch(() => {}); // never answered
  expect(sent).toEqual([[buffer]]);
});

describe('what breaks the contract is refused', () => {
  test.each([
    'nonsense',
    { type: 'result', id: 1, result: 'two' },
    { type: 'event', id: 1, name: 'half', data: 'one' },
    { type: 'event', id: 1, name: 'quarter', data: 1 },
    { type: 'announcement', name: 'bye', data: 'you' },
    { type: 'error', id: 1, error: { code: 'latents_not_finite', message: 'without its step', data: {} } },
    { type: 'error', id: 1, error: { code: 'no such code', message: '', data: {} } },
  ])('%j from the server', (message) => {
    const client = createRpcClient(contract, () => {}, { hello: () => {} });
    client.start('double', 1, { onResult: () => {}, onError: () => {} });
    expect(() => client.receive(message)).toThrow(z.ZodError);
    client.close(new Error('over'));
  });

  test('params and methods from the client', async () => {
    const answers: unknown[] = [];
    const server = createRpcServer(contract, (message) => answers.push(message), { double: async (value) => value, wait: async () => null });
    expect(() => server.receive({ type: 'order' })).toThrow(z.ZodError);
    server.receive({ type: 'call', id: 1, method: 'double', params: 'two' });
    server.receive({ type: 'call', id: 2, method: 'triple', params: 1 });
    await new Promise(setImmediate);
    expect(answers).toMatchObject([
      { type: 'error', id: 1, error: { code: 'internal' } },
      { type: 'error', id: 2, error: { code: 'internal' } },
    ]);
  });
});
