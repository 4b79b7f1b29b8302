import { expect, test } from 'vitest';
import { GraphBuilder } from './builder.ts';
import type { Graph } from './ir.ts';
import { graphMemory } from './memory.ts';
import { verifyGraph } from './verify.ts';

const file = (byteLength: number) => ({ kind: 'file', path: '/w', offset: 0, byteLength }) as const;
const memoryOf = (graph: Graph) => graphMemory(graph, verifyGraph(graph));

test('weights count as what they are folded to, each once, and a table of rows not at all', () => {
  const graph = new GraphBuilder('g');
  const ids = graph.input('ids', 'int64', ['tokens']);
  const table = graph.weight('table', 'bfloat16', [1000, 8], file(16_000));
  const widened = (name: string) => graph.add('Cast', [graph.weight(name, 'bfloat16', [8, 8], file(128))], { attributes: { to: 1 }, hints: { to: 'float32' } });
  const rows = graph.add('Cast', [graph.add('Gather', [table, ids], { attributes: { axis: 0 } })], { attributes: { to: 1 }, hints: { to: 'float32' } });
  const [a, b] = [widened('a'), widened('b')];
  graph.output(graph.add('Gemm', [graph.add('Gemm', [graph.add('Gemm', [rows, a]), b]), a]), 'y');
  // two of 8 x 8 float32
  const finished = graph.finish();
  expect(memoryOf(finished).loadedBytes).toBe(2 * 256);
  // CUDA copies the table
  expect(graphMemory(finished, verifyGraph(finished), true).loadedBytes).toBe(2 * 256 + 16_000);
});

test('with int8 activations the scales of a quantized product count three times', () => {
  const loaded = (accuracy: 0 | 4): number => {
    const graph = new GraphBuilder('g');
    const x = graph.input('x', 'float32', ['tokens', 32]);
    const blob = graph.weight('blob', 'uint8', [4, 2, 8], file(64));
    const scales = graph.weight('scales', 'float32', [8], file(32));
    const attributes = { K: 32, N: 4, bits: 4, block_size: 16, accuracy_level: accuracy };
    graph.output(graph.add('MatMulNBits', [x, blob, scales], { domain: 'com.microsoft', attributes }), 'y');
    return memoryOf(graph.finish()).loadedBytes;
  };
  expect([loaded(0), loaded(4)]).toEqual([96, 160]);
});

test('a run is as large as what is alive at its fullest moment: views cost nothing, sums are written over what dies', () => {
  const graph = new GraphBuilder('g');
  const x = graph.input('x', 'float32', ['tokens', 16]);
  const doubled = graph.add('Concat', [x, x], { attributes: { axis: 1 } }); // 64 + 128 bytes a token
  const flat = graph.add('Reshape', [doubled, graph.ints([-1, 16])], { hints: { to: '2*tokens 16' } });
  const sum = graph.add('Add', [flat, flat]); // in place
  graph.output(graph.add('Relu', [sum]), 'y'); // in place
  const { fixed, perUnit } = memoryOf(graph.finish()).runningBytes;
  expect(fixed).toBeCloseTo(0, 6);
  expect(perUnit).toBeCloseTo(192, 6);
});

test('sides of an image multiply, and a prompt is as long as prompts get', () => {
  const graph = new GraphBuilder('g');
  const image = graph.input('image', 'float32', ['image_tokens', 4]);
  const caption = graph.input('caption', 'float32', ['caption_tokens', 4]);
  graph.output(graph.add('Concat', [image, caption], { attributes: { axis: 0 } }), 'y');
  const tokens = memoryOf(graph.finish()).runningBytes;
  // both inputs, and both in the output
  expect([tokens.perUnit, tokens.fixed]).toEqual([expect.closeTo(32, 6), expect.closeTo(32 * 512, 3)]);

  const pixels = new GraphBuilder('p');
  const picture = pixels.input('picture', 'float32', [1, 2, 'height', 'width']);
  pixels.output(pixels.add('Resize', [picture, null, pixels.floats([1, 1, 2, 2])], { hints: { factor: 2 } }), 'large');
  expect(memoryOf(pixels.finish()).runningBytes.perUnit).toBeCloseTo(8 + 32, 6);
});
