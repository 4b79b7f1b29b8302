import { afterEach, expect, test } from 'vitest';
import { openParentPort } from './parent-port.ts';

afterEach(() => {
  Reflect.deleteProperty(process, 'parentPort');
});

test("inside Electron's utility process its port is taken, and messages are unwrapped", () => {
  const sent: unknown[] = [];
  let deliver: (event: { data: unknown }) => void = () => {};
  Reflect.set(process, 'parentPort', {
    postMessage: (message: unknown) => sent.push(message),
    on: (_event: string, listener: (event: { data: unknown }) => void) => {
      deliver = listener;
    },
  });
  const port = openParentPort();
  const heard: unknown[] = [];
  port.onMessage((message) => heard.push(message));
  deliver({ data: { type: 'cancel', id: 1 } });
  port.send({ type: 'announcement', name: 'heartbeat', data: null });
  expect(heard).toEqual([{ type: 'cancel', id: 1 }]);
  expect(sent).toEqual([{ type: 'announcement', name: 'heartbeat', data: null }]);
});
