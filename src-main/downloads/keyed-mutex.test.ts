import { expect, test } from 'vitest';
import { createKeyedMutex } from './keyed-mutex.ts';

test('tasks of one key run one after the other, also after a failure; other keys do not wait', async () => {
  const mutex = createKeyedMutex();
  const log: string[] = [];
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = mutex('a', async () => {
    await gate;
    log.push('first');
    throw new Error('failed');
  });
  const second = mutex('a', async () => log.push('second'));
  await mutex('b', async () => log.push('other key'));
  open();
  await expect(first).rejects.toThrow('failed');
  expect([await second, log]).toEqual([3, ['other key', 'first', 'second']]);
});
