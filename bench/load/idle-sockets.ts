import { StudioProcess } from '../../tests/support/studio-process.ts';
import { figure, type Row } from '../harness/row.ts';
import { closeSockets, openSockets, queue } from './sockets.ts';
import { submit } from './submit.ts';

/** Memory of the server with thousands of idle sockets, while it serves another client. */
export async function measureIdleSockets(): Promise<Row[]> {
  const studio = await StudioProcess.start();
  const rows: Row[] = [];
  let open = 0;
  const all = [];
  for (const count of [2000, 10_000]) {
    const sockets = await openSockets(studio.port, count - open, `idle-${count}`);
    for (const socket of sockets) socket.once('close', () => open--);
    open = count;
    all.push(...sockets);
    const { rss } = await studio.memory();
    const megabytes = Math.round(rss / 1e6);
    rows.push(figure(`memory of the server with ${count} idle sockets`, megabytes, 'MB', count === 2000 ? { most: 300 } : { goal: 300 }));
  }
  const [client] = await openSockets(studio.port, 1, 'beside');
  if (client === undefined) throw new Error('no socket was opened');
  await queue(studio.port, 'pause');
  await submit([client], 20, 20, 'beside the idle ones');
  rows.push(figure('idle sockets cut while others were served, of 10000', 10_000 - open, '', { most: 0 }));
  closeSockets([...all, client]);
  await studio.dispose();
  return rows;
}
