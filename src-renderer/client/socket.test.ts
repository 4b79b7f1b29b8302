import { expect, test } from 'vitest';
import type { ClientMessage, ServerMessage } from '#shared/protocol/messages.ts';
import { type Connection, createStudioSocket, retryDelayMs, type Wire, type WireEvents } from './socket.ts';

const JOB_ID = 'a'.repeat(64);

class FakeWire implements Wire {
  readonly sent: Array<Record<string, unknown>> = [];
  readonly events: WireEvents;
  constructor(events: WireEvents) {
    this.events = events;
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.events.onClose();
  }
  say(message: unknown): void {
    this.events.onFrame(typeof message === 'string' ? message : JSON.stringify(message));
  }
}

function setUp(unanswered: readonly ClientMessage[] = []) {
  const wires: FakeWire[] = [];
  const messages: ServerMessage[] = [];
  const connections: Connection[] = [];
  const unreadable: unknown[] = [];
  const timers: Array<{ action: () => void; delayMs: number }> = [];
  let kept: readonly ClientMessage[] = unanswered;
  const socket = createStudioSocket({
    unanswered,
    keepUnanswered: (messages) => {
      kept = messages;
    },
    open(events) {
      const wire = new FakeWire(events);
      wires.push(wire);
      return wire;
    },
    onMessage: (message) => messages.push(message),
    onConnection: (connection) => connections.push(connection),
    onUnreadable: (frame) => unreadable.push(frame),
    now: () => 1000,
    schedule(action, delayMs) {
      const timer = { action, delayMs };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  });
  const latestWire = () => {
    const wire = wires.at(-1);
    if (wire === undefined) throw new Error('no connection was opened');
    return wire;
  };
  const runTimer = () => {
    const timer = timers.shift();
    if (timer === undefined) throw new Error('no timer is set');
    timer.action();
  };
  return { kept: () => kept, socket, wires, messages, connections, unreadable, timers, latestWire, runTimer };
}

test('asks for all jobs and previews as soon as it is connected', () => {
  const { latestWire, connections } = setUp();
  latestWire().events.onOpen();
  expect(latestWire().sent).toEqual([{ type: 'watch', all: true, previews: true, models: true }]);
  expect(connections.map((connection) => connection.state)).toEqual(['connecting', 'open']);
});

test('reconnects with growing delays and asks for missed events', () => {
  const { latestWire, connections, timers, runTimer } = setUp();
  latestWire().events.onOpen();
  latestWire().say({ type: 'job_status', job_id: JOB_ID, status: 'pending', seq: 7 });
  latestWire().close();
  expect(connections.at(-1)).toEqual({ state: 'waiting', retryAtMs: 1500 });
  runTimer();
  latestWire().close();
  expect(timers.map((timer) => timer.delayMs)).toEqual([1000]);
  runTimer();
  latestWire().events.onOpen();
  expect(latestWire().sent[0]).toEqual({ type: 'watch', all: true, previews: true, models: true, since: 7 });
});

test('an unanswered request is sent again after a reconnect, an answered one is not', () => {
  const { socket, latestWire, runTimer } = setUp();
  latestWire().events.onOpen();
  socket.send({ type: 'cancel_job', job_id: JOB_ID, request_id: 'r1' });
  socket.send({ type: 'get_status', job_id: JOB_ID, request_id: 'r2' });
  latestWire().say({ type: 'job_status', job_id: JOB_ID, status: 'cancelled', request_id: 'r1' });
  latestWire().close();
  runTimer();
  latestWire().events.onOpen();
  expect(latestWire().sent.slice(1)).toEqual([{ type: 'get_status', job_id: JOB_ID, request_id: 'r2' }]);
});

test('a withdrawn request is not sent after a reconnect', () => {
  const { socket, latestWire } = setUp();
  socket.send({ type: 'get_status', job_id: JOB_ID, request_id: 'r1' });
  socket.withdraw('r1');
  latestWire().events.onOpen();
  expect(latestWire().sent.map((message) => message['type'])).toEqual(['watch']);
});

test('a request made without a connection is sent once there is one', () => {
  const { socket, latestWire } = setUp();
  socket.send({ type: 'get_status', job_id: JOB_ID, request_id: 'r1' });
  expect(latestWire().sent).toEqual([]);
  latestWire().events.onOpen();
  expect(latestWire().sent.map((message) => message['type'])).toEqual(['watch', 'get_status']);
});

test.each([['not json'], [{ type: 'job_status' }], [{ type: 'from_the_future' }]])('a frame outside the contract is reported and does no harm: %j', (frame) => {
  const { latestWire, messages, unreadable } = setUp();
  latestWire().events.onOpen();
  latestWire().say(frame);
  expect(messages).toEqual([]);
  expect(unreadable).toHaveLength(1);
});

test('retryNow does not wait for the timer and leaves none behind', () => {
  const { socket, wires, timers, latestWire } = setUp();
  latestWire().close();
  socket.retryNow();
  expect(wires).toHaveLength(2);
  latestWire().events.onOpen();
  expect(timers).toHaveLength(1);
});

test('close stops reconnecting', () => {
  const { socket, wires, timers, latestWire } = setUp();
  latestWire().events.onOpen();
  socket.close();
  expect(wires).toHaveLength(1);
  expect(timers).toEqual([]);
});

test('the delay doubles up to ten seconds', () => {
  expect([0, 1, 2, 3, 4, 5, 100].map(retryDelayMs)).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test('unanswered messages survive a page reload and are sent again', () => {
  const order = { type: 'cancel_job', job_id: JOB_ID, request_id: 'w1-1' } as const;
  const before = setUp();
  before.socket.send(order);
  expect(before.kept()).toEqual([order]);
  const after = setUp(before.kept());
  after.latestWire().events.onOpen();
  expect(after.latestWire().sent.at(-1)).toEqual(order);
  after.latestWire().say({ type: 'job_status', job_id: JOB_ID, status: 'cancelled', request_id: 'w1-1' });
  expect(after.kept()).toEqual([]);
});

test('a silent connection is checked; one that answers is kept, one that does not is given up and its late messages are ignored', () => {
  const { latestWire, runTimer, timers, connections, wires, messages } = setUp();
  const silent = latestWire();
  silent.events.onOpen();
  runTimer();
  expect(silent.sent.slice(1)).toEqual([{ type: 'watch' }]);
  silent.say({ type: 'watching', seq: 3 });
  expect(timers).toHaveLength(1);
  runTimer();
  expect(silent.sent.slice(2)).toEqual([{ type: 'watch' }]);
  runTimer();
  expect(connections.at(-1)?.state).toBe('waiting');
  runTimer();
  expect(wires).toHaveLength(2);
  latestWire().events.onOpen();
  silent.say({ type: 'job_status', job_id: JOB_ID, status: 'pending' });
  silent.events.onClose();
  expect(connections.at(-1)?.state).toBe('open');
  expect(messages.map(({ type }) => type)).toEqual(['watching']);
});

test('a connection without an answer is given up', () => {
  const { wires, runTimer, connections } = setUp();
  runTimer();
  expect(connections.at(-1)?.state).toBe('waiting');
  runTimer();
  expect(wires).toHaveLength(2);
});

test('retryNow checks an open connection', () => {
  const { socket, latestWire, runTimer, connections } = setUp();
  latestWire().events.onOpen();
  socket.retryNow();
  expect(latestWire().sent.at(-1)).toEqual({ type: 'watch' });
  runTimer();
  expect(connections.at(-1)?.state).toBe('waiting');
});
