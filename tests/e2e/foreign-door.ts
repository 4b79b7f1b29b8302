import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** An https proxy to a server on this machine; its clients count as other machines. */
export interface ForeignDoor {
  origin: string;
  /** File with the certificate, for programs that should trust it. */
  certificate: string;
  close(): void;
}

/**
 * Opens it on a free port before the server starts: the server's `--allow-origin` must name it. openssl makes the certificate in `folder`.
 * @param port Returns the server's port, called for each connection.
 */
export async function openForeignDoor(folder: string, port: () => number): Promise<ForeignDoor> {
  const [certificate, key] = [join(folder, 'door.pem'), join(folder, 'door.key')];
  const wanted = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1'];
  await run('openssl', [...wanted, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate]);
  const server = createServer({ cert: await readFile(certificate), key: await readFile(key) });
  const pass = ({ method, url, headers }: IncomingMessage) =>
    request({ host: '127.0.0.1', port: port(), method, path: url, headers: { ...headers, 'x-forwarded-for': '192.0.2.7' } });
  server.on('request', (visitor, answer) => {
    const inner = pass(visitor);
    inner.on('response', (given) => {
      answer.writeHead(given.statusCode ?? 502, given.headers);
      given.pipe(answer);
    });
    inner.on('error', () => answer.destroy());
    visitor.pipe(inner);
  });
  server.on('upgrade', (visitor, socket) => {
    const inner = pass(visitor);
    const refuse = () => socket.destroy();
    inner.on('upgrade', (given, innerSocket) => {
      const lines = given.rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${given.rawHeaders[index + 1]}\r\n`] : []));
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
      innerSocket.pipe(socket);
      socket.pipe(innerSocket);
      innerSocket.on('error', refuse);
      socket.on('error', () => innerSocket.destroy());
    });
    inner.on('response', refuse);
    inner.on('error', refuse);
    inner.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return { origin: `https://127.0.0.1:${address.port}`, certificate, close: () => void server.close() };
}
