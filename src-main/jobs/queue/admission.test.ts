import { expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { SteppedEngine } from '../../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../../tests/support/jobs-room.ts';

test('what a client asks for in a row is committed together and answered in that order, refusals included', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine(), { limits: { running: 1, waiting: 2 } });
  // int8 has to be looked for, and is not there: that takes longer than everything else
  const checkpointFor = room.registry.checkpointFor.bind(room.registry);
  room.registry.checkpointFor = async (modelType) => {
    if (modelType === 'uint4') return checkpointFor(modelType);
    // the first job has left the queue, so that one more finds room in it
    await expect.poll(() => client.story()).toContain('processing r0');
    throw new AppError('model_not_installed', 'There is no int8 checkpoint.', { modelType });
  };
  const client = new TestClient(jobs, 'a');
  const answers: string[] = [];
  const asked = ['one', 'two', 'int8', 'three', 'four', 'one'].map(async (prompt, at) => {
    const refused = await client.create(prompt, `r${at}`, prompt === 'int8' ? { model_type: 'int8' } : {}).catch((thrown: unknown) => thrown);
    answers.push(refused instanceof AppError ? refused.code : 'answered');
  });
  await Promise.all(asked);
  expect(answers).toEqual(['answered', 'answered', 'model_not_installed', 'answered', 'queue_full', 'answered']);
  const story = client.story();
  // the first two need not wait for the slow one; behind it the others come in one commit, before any of them can start
  expect(story.filter((status) => status.startsWith('pending'))).toEqual(['pending r0', 'pending r1', 'pending r3']);
  expect(story.indexOf('pending r1')).toBeLessThan(story.indexOf('processing r0'));
});

test('a slow look-up delays no other client', async () => {
  const room = createTestRoom();
  const jobs = await room.open(new SteppedEngine());
  const found = Promise.withResolvers<void>();
  const checkpointFor = room.registry.checkpointFor.bind(room.registry);
  room.registry.checkpointFor = async (modelType) => {
    if (modelType === 'int8') await found.promise;
    return checkpointFor(modelType);
  };
  const [slow, quick] = [new TestClient(jobs, 'slow'), new TestClient(jobs, 'quick')];
  const waiting = slow.create('x', 'r1', { model_type: 'int8' });
  await quick.create('y', 'r2');
  expect(slow.received).toEqual([]);
  found.resolve();
  await waiting;
  expect(slow.story()[0]).toBe('pending r1');
});
