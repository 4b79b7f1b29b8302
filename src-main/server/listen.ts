import type { AddressInfo } from 'node:net';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { App } from './fastify-app.ts';

/** Opens the port and returns its number, which differs from `port` for 0. Throws `port_taken` or `bad_option`. */
export async function listen(app: App, host: string, port: number): Promise<number> {
  try {
    // exclusive: with NODE_UNIQUE_ID left in the environment Node would wait for a cluster's parent to listen
    await app.listen({ host, port, exclusive: true });
  } catch (cause) {
    throw listenError(host, port, cause);
  }
  const address: string | AddressInfo | null = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** `http://HOST:PORT`, IPv6 in brackets. */
export function serverUrl(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenError(host: string, port: number, cause: unknown): Error {
  switch (errnoCode(cause)) {
    case 'EADDRINUSE':
      return appError('port_taken', { port }, { cause });
    case 'EACCES':
      return new AppError('bad_option', `--port ${port} is not open to this user; choose a port from 1024 on.`, { option: '--port' }, { cause });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EINVAL':
      return new AppError(
        'bad_option',
        `--host ${host} is not an address of this machine; 127.0.0.1 serves this machine only, 0.0.0.0 every network.`,
        { option: '--host' },
        { cause },
      );
    default:
      return cause instanceof Error ? cause : new Error(String(cause), { cause });
  }
}
