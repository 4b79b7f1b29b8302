import { once } from 'node:events';
import { WebSocket } from 'ws';

/** A socket to a server with the original's protocol: ours or a peer. `query` is appended to `/api/ws`. */
export async function openSocket(port: number, query = ''): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/ws${query}`, { perMessageDeflate: false });
  await once(socket, 'open');
  return socket;
}

/** `count` sockets, each with a unique `client_id` that begins with `name`. */
export async function openSockets(port: number, count: number, name: string): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  // in batches: the listen backlog is short
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(100, count - sockets.length) }, (_, i) => openSocket(port, `?client_id=${name}-${sockets.length + i}`));
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

export function closeSockets(sockets: readonly WebSocket[]): void {
  for (const socket of sockets) socket.terminate();
}

/** A `create_job` for a small image. */
export function createJob(prompt: string, steps = 9): string {
  return JSON.stringify({ type: 'create_job', task_type: 'text_to_image', request_id: prompt, params: { prompt, width: 256, height: 256, steps } });
}

/** `pause` keeps jobs waiting, `resume` lets them start, `clear` cancels waiting jobs. */
export async function queue(port: number, action: 'pause' | 'resume' | 'clear'): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`http://127.0.0.1:${port}/api/queue`, { method: 'POST', headers, body: JSON.stringify({ action }) });
  if (!answer.ok) throw new Error(`the queue answered ${answer.status} to ${action}: ${await answer.text()}`);
}
