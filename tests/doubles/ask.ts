import { type IncomingHttpHeaders, request } from 'node:http';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  json(): Record<string, unknown>;
}

export interface Question {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

/** One HTTP request with exactly these headers, `Host` included, which `fetch` does not allow. A successful upgrade answers 101. */
export function ask(port: number, path: string, { method = 'GET', headers = {}, body }: Question = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    outgoing.on('error', reject);
    outgoing.on('upgrade', (incoming, socket) => {
      socket.destroy();
      resolve({ status: 101, headers: incoming.headers, body: Buffer.alloc(0), json: () => ({}) });
    });
    outgoing.on('response', async (incoming) => {
      const parts: Buffer[] = [];
      for await (const part of incoming) parts.push(part);
      const all = Buffer.concat(parts);
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: all, json: () => JSON.parse(all.toString()) });
    });
    outgoing.end(body);
  });
}

/** The headers of a WebSocket handshake. */
export const handshake = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
