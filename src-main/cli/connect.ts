import { WebSocket } from 'ws';
import { z } from 'zod';
import { pathOption } from '#main/config/command-options.ts';
import { readAccessKey, type ServerTargets, serverTargets } from '#main/config/server-target.ts';
import { readServerAddress, serverOrigin } from '#main/server/server-address.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { Studio, StudioError } from '../../clients/js/zimage.js';

/** Options of every command that talks to a server. */
export const clientOptions = { url: z.string().min(1).optional(), 'data-dir': pathOption.optional(), json: z.boolean().default(false) };

export interface Connected {
  studio: Studio;
  url: string;
  /** Closes the connection, and ends a server that was started for it. */
  close(): Promise<void>;
}

/** A server that a command started because there was none. */
export interface StartedServer {
  url: string;
  key: string | null;
  stop(): Promise<void>;
}

/** The program that a command belongs to, and how it starts a server. */
export interface ServerStarter {
  version: () => string;
  /** The folder of the repository; null in a package. */
  checkoutDir: string | null;
  start(dataDir: string | undefined): Promise<StartedServer>;
}

/** What the options of a command say about the server. */
interface Choices {
  url?: string | undefined;
  'data-dir'?: string | undefined;
}

const ANSWER_MS = 3_000;
const DEFAULT_URL = 'http://127.0.0.1:8004';

/** Connects to a running server. Throws `server_unreachable`, `access_key_required`. */
export async function connect(choices: Choices, { checkoutDir }: ServerStarter): Promise<Connected> {
  const targets = serverTargets({ url: choices.url, dataDir: choices['data-dir'] }, checkoutDir);
  const candidates = candidatesOf(targets);
  for (const { url, key } of candidates) {
    if (!(await answers(url, key))) continue;
    const studio = createStudio(url, key);
    return { studio, url, close: async () => studio.close() };
  }
  const tried = candidates.map(({ url }) => url).join(' and ');
  throw new AppError(
    'server_unreachable',
    `No server answers at ${tried}. Start one with zimage serve or the desktop app, or name its address with --url or ZIMAGE_URL.`,
    {},
  );
}

/** The same, and starts a server for this command where none runs and the user named none. */
export async function connectOrStart(choices: Choices, starter: ServerStarter): Promise<Connected> {
  try {
    return await connect(choices, starter);
  } catch (thrown) {
    const isNamed = serverTargets({ url: choices.url }, null).named !== null;
    if (isNamed || !(thrown instanceof AppError) || thrown.code !== 'server_unreachable') throw thrown;
  }
  process.stderr.write('no server is running; starting one for this command\n');
  const { url, key, stop } = await starter.start(choices['data-dir']);
  const studio = createStudio(url, key);
  return {
    studio,
    url,
    close: async () => {
      studio.close();
      await stop();
    },
  };
}

function createStudio(url: string, key: string | null): Studio {
  return new Studio({ url, key: key ?? undefined, clientId: `cli-${crypto.randomUUID()}`, WebSocket });
}

function candidatesOf({ named, dataDirs, key }: ServerTargets): { url: string; key: string | null }[] {
  if (named !== null) return [named];
  const running = dataDirs.flatMap((dataDir) => {
    const address = readServerAddress(dataDir);
    return address === null ? [] : [{ url: serverOrigin(address), key: readAccessKey(dataDir) }];
  });
  return [...running, { url: DEFAULT_URL, key }];
}

/** False where nothing of ours answers. A server that refuses the caller does answer. */
async function answers(url: string, key: string | null): Promise<boolean> {
  try {
    await new Studio({ url, key: key ?? undefined }).call('/api/info', { signal: AbortSignal.timeout(ANSWER_MS) });
    return true;
  } catch (thrown) {
    if (thrown instanceof StudioError && thrown.code === 'access_key_required') {
      throw new AppError('access_key_required', `The server at ${url} needs its access key. Set ZIMAGE_KEY to it; the server printed it when it started.`, {});
    }
    if (thrown instanceof StudioError && thrown.status !== undefined && thrown.code !== 'http_error') throw thrown;
    return false;
  }
}
