import { expect, test } from 'vitest';
import { ClosingStack } from './closing-stack.ts';

test('everything is closed in reverse, once, even if one close fails', async () => {
  const closed: string[] = [];
  const stack = new ClosingStack();
  stack.add(() => closed.push('first'));
  stack.add(() => {
    throw new Error('second');
  });
  stack.add(async () => {
    await Promise.resolve();
    closed.push('third');
  });
  await expect(stack.close()).rejects.toThrow('second');
  await stack.close();
  expect(closed).toEqual(['third', 'first']);
});
