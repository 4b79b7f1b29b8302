import { expect, test } from 'vitest';
import { SteppedEngine } from '../../tests/fakes/stepped-engine.ts';
import { createTestRoom, TestClient } from '../../tests/support/jobs-room.ts';

test('jobs wait while the engine has no capacity, and start when it has again', async () => {
  const room = createTestRoom();
  const engine = new SteppedEngine();
  const jobs = await room.open(engine);
  const client = new TestClient(jobs, 'a');
  engine.setCapacity(false);
  await client.create('x');
  expect([client.story(), jobs.summary()]).toMatchObject([['pending'], { running: 0, waiting: 1 }]);
  engine.setCapacity(true);
  await (await engine.task(0)).finish();
  await client.until('generated');
});
