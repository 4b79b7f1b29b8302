import { expect, test } from 'vitest';
import { bindingInUse, createSessionFactory } from './ort.ts';
import type { CreateSession, Session } from './session.ts';

const graph = { onnxPath: 'a.onnx', weightsDir: '.' };
const threads = 1;

/** Bindings whose sessions give the binding's name away; a missing one cannot be loaded. */
function bindings(...there: string[]) {
  const loads: string[] = [];
  const load = (name: string) => async (): Promise<CreateSession> => {
    loads.push(name);
    if (!there.includes(name)) throw new Error(`no ${name} here`);
    return async (): Promise<Session> => ({ run: async () => ({ [name]: new Float32Array() }), release: async () => {} });
  };
  return { loads, cApi: load('c-api'), node: load('node') };
}

const nameOf = async (session: Promise<Session>) => Object.keys(await (await session).run({}))[0];

test('auto is the C API; one that is named is that one; each is loaded once', async () => {
  const both = bindings('c-api', 'node');
  const warnings: string[] = [];
  const create = createSessionFactory(both, (sentence) => warnings.push(sentence));
  for (let i = 0; i < 2; i++) {
    expect(await nameOf(create(graph, { threads }))).toBe('c-api');
    expect(await nameOf(create(graph, { threads, binding: 'node' }))).toBe('node');
  }
  expect(both.loads).toEqual(['c-api', 'node']);
  expect(warnings).toEqual([]);
});

test('where the C API cannot be loaded auto falls back and says why, once; the C API by name is refused', async () => {
  const warnings: string[] = [];
  const create = createSessionFactory(bindings('node'), (sentence) => warnings.push(sentence));
  expect(await nameOf(create(graph, { threads }))).toBe('node');
  expect(await nameOf(create(graph, { threads, binding: 'auto' }))).toBe('node');
  expect(warnings).toEqual([expect.stringContaining('(no c-api here)')]);
  await expect(create(graph, { threads, binding: 'c-api' })).rejects.toThrow('no c-api here');
});

test('the chosen binding is reported with its reason, and auto really loads the C API', async () => {
  const broken = () => Promise.reject(new Error('no koffi'));
  expect(await bindingInUse('auto')).toEqual({ binding: 'c-api', reason: 'it can be called here' });
  expect(await bindingInUse('auto', broken)).toEqual({ binding: 'node', reason: 'the C API cannot be called here: no koffi' });
  expect(await bindingInUse('node', broken)).toEqual({ binding: 'node', reason: 'chosen by name' });
});
