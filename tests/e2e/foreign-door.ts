import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A door of https to a server on this machine, through which everybody counts as another machine. */
export interface ForeignDoor {
  origin: string;
  /** File with the certificate, for programs that shall trust it. */
  certificate: string;
  close(): void;
}

/**
 * Opens it on a free port before the server is there: `--allow-origin` of the server must name it. The certificate is made by openssl in `folder`.
 * @param port Of the server, asked for at each connection.
 */
export async function openForeignDoor(folder: string, port: () => number): Promise<ForeignDoor> {
  const [certificate, key] = [join(folder, 'door.pem'), join(folder, 'door.key')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1'];
  await run('openssl', [...request, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate]);
  const server = createServer({ cert: await readFile(certificate), key: await readFile(key) }, (visitor) => {
    const inner = connect(port(), '127.0.0.1');
    let head = '';
    const onHead = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      const firstLine = head.indexOf('\r\n');
      if (firstLine === -1) return;
      visitor.off('data', onHead);
      inner.write(`${head.slice(0, firstLine)}\r\nX-Forwarded-For: 192.0.2.7${head.slice(firstLine)}`, 'latin1');
      visitor.pipe(inner);
    };
    visitor.on('data', onHead);
    inner.pipe(visitor);
    visitor.on('error', () => inner.destroy());
    inner.on('error', () => visitor.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the door has no port');
  return { origin: `https://127.0.0.1:${address.port}`, certificate, close: () => void server.close() };
}
