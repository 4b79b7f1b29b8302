import { describe, expect, test } from 'vitest';
import { DeviceQueue, type QueueDevice, type QueuedTask } from './device-queue.ts';

class FakeDevice implements QueueDevice<QueuedTask> {
  availability: 'free' | 'busy' | 'resting' = 'free';
  isOnCpu = false;
  lastCheckpoint: string | null = null;
  readonly ran: number[] = [];

  run({ id, checkpoint }: QueuedTask): void {
    this.ran.push(id);
    this.lastCheckpoint = checkpoint ?? this.lastCheckpoint;
    if (this.availability === 'free') this.availability = 'busy';
  }
}

function room(count = 1) {
  const devices = Array.from({ length: count }, () => new FakeDevice());
  const queue = new DeviceQueue<QueuedTask>(devices);
  let nextId = 1;
  const add = (turn: QueuedTask['turn'] = 'start', checkpoint: string | null = null) => {
    const task = { id: nextId++, turn, checkpoint };
    queue.add(task);
    queue.dispatch();
    return task;
  };
  const free = (device: FakeDevice) => {
    device.availability = 'free';
    queue.dispatch();
  };
  const ran = () => devices.map((device) => device.ran);
  return { devices, queue, add, free, ran };
}

function only(devices: FakeDevice[]): FakeDevice {
  const [device] = devices;
  if (device === undefined) throw new Error('there is no device');
  return device;
}

test('what lost its process comes first, then jobs that have begun, then new ones; each in its order', () => {
  const { devices, add, free, ran } = room();
  for (const turn of ['start', 'start', 'continue', 'start', 'continue', 'again'] as const) add(turn);
  for (let i = 0; i < 5; i++) free(only(devices));
  expect(ran()).toEqual([[1, 6, 3, 5, 2, 4]]);
});

test('a task that was taken out does not run', () => {
  const { devices, queue, add, free, ran } = room();
  const [running, removed] = [add(), add()];
  add();
  expect([queue.remove(running), queue.remove(removed), queue.remove(removed), queue.size]).toEqual([false, true, false, 1]);
  free(only(devices));
  expect(ran()).toEqual([[1, 3]]);
  add();
  expect(queue.takeAll().map(({ id }) => id)).toEqual([4]);
  free(only(devices));
  expect(ran()).toEqual([[1, 3]]);
});

describe('with several devices', () => {
  test('a task goes to the first one that is free, and waits where none is', () => {
    const { devices, add, free, ran } = room(2);
    for (let i = 0; i < 3; i++) add();
    expect(ran()).toEqual([[1], [2]]);
    free(devices[1] ?? only([]));
    expect(ran()).toEqual([[1], [2, 3]]);
  });

  test('of two free ones it goes to the one that ran its checkpoint last', () => {
    const { devices, queue, add, ran } = room(2);
    add('start', 'one');
    add('start', 'other');
    for (const device of devices) device.availability = 'free';
    queue.dispatch();
    add('start', 'other');
    expect(ran()).toEqual([[1], [2, 3]]);
  });

  test('one that fell back to the CPU or rests gets nothing while another has a GPU', () => {
    const { devices, queue, add, free, ran } = room(2);
    const [first, second] = devices;
    if (first === undefined || second === undefined) throw new Error('there are two');
    first.isOnCpu = true;
    for (let i = 0; i < 2; i++) add();
    free(second);
    expect([ran(), queue.usable()]).toEqual([[[], [1, 2]], [second]]);
    second.availability = 'resting';
    add();
    expect([ran(), queue.usable()]).toEqual([[[3], [1, 2]], [first]]);
  });

  test('several on the CPU count as one', () => {
    const { devices, queue, add, ran } = room(2);
    for (const device of devices) device.isOnCpu = true;
    for (let i = 0; i < 2; i++) add();
    expect([ran(), queue.usable().length]).toEqual([[[1], []], 1]);
  });

  test('where all rest the first one refuses', () => {
    const { devices, add, ran } = room(2);
    for (const device of devices) device.availability = 'resting';
    for (let i = 0; i < 2; i++) add();
    expect(ran()).toEqual([[1, 2], []]);
  });
});
