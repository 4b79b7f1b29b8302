import { StudioProcess } from '../../tests/support/studio-process.ts';
import type { Check } from '../checks.ts';
import { closeSockets, openSockets, queue } from './sockets.ts';
import { submit } from './submit.ts';

/** Memory of the server with thousands of sockets that say nothing, and that it serves others meanwhile. */
export async function measureIdleSockets(): Promise<Check[]> {
  const studio = await StudioProcess.start();
  const checks: Check[] = [];
  let open = 0;
  const all = [];
  for (const count of [2000, 10_000]) {
    const sockets = await openSockets(studio.port, count - open, `idle-${count}`);
    for (const socket of sockets) socket.once('close', () => open--);
    open = count;
    all.push(...sockets);
    const { rss } = await studio.memory();
    const megabytes = Math.round(rss / 1e6);
    checks.push({ what: `memory of the server with ${count} idle sockets`, value: megabytes, unit: 'MB', ...(count === 2000 ? { most: 300 } : { goal: 300 }) });
  }
  const [client] = await openSockets(studio.port, 1, 'beside');
  if (client === undefined) throw new Error('no socket was opened');
  await queue(studio.port, 'pause');
  await submit([client], 20, 20, 'beside the idle ones');
  checks.push({ what: 'idle sockets cut while others were served, of 10000', value: 10_000 - open, unit: '', most: 0 });
  closeSockets([...all, client]);
  await studio.dispose();
  return checks;
}
