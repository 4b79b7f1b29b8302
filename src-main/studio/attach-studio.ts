import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { z } from 'zod';
import { KEY_COOKIE, loadAccessKey } from '#main/server/access/access-key.ts';
import type { Log } from '#main/server/log.ts';
import { readServerAddress, serverOrigin } from '#main/server/server-address.ts';
import { SettingsFile } from '#main/settings/settings-file.ts';
import { type JobRecord, jobPageSchema, type QueueAction, queueSummarySchema } from '#shared/domain/job-record.ts';
import { infoSchema } from '#shared/protocol/http.ts';
import { type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';
import { settingsAnswerSchema } from '#shared/protocol/settings.ts';
import type { HostedStudio, RecentImage } from './hosted-studio.ts';

const ANSWER_MS = 5_000;
/** How often a server that closed the socket is probed. */
const PROBES = 4;
const PROBE_PAUSE_MS = 500;
const RECENT_IMAGES = 10;

/**
 * The server that already runs on this data folder, through its documented calls; no engine is started here. Null where no server of ours answers at the
 * address in the folder.
 */
export async function attachStudio(dataDir: string, log: Log): Promise<HostedStudio | null> {
  const address = readServerAddress(dataDir);
  if (address === null) return null;
  const origin = serverOrigin(address);

  // with --require-key this machine needs it too; only the user who owns the folder can read it
  const key = loadAccessKey(dataDir);
  const call = async <T>(schema: z.ZodType<T>, path: string, init: RequestInit = {}): Promise<T> => {
    const headers = { ...init.headers, authorization: `Bearer ${key.text()}` };
    const response = await fetch(`${origin}${path}`, { ...init, headers, signal: AbortSignal.timeout(ANSWER_MS) });
    return schema.parse(await response.json());
  };
  const listed = async (status: JobRecord['status'], limit: number) => (await call(jobPageSchema, `/api/jobs?status=${status}&limit=${limit}`)).jobs;
  const recentImages = async (): Promise<RecentImage[]> =>
    (await listed('completed', RECENT_IMAGES)).map((job) => ({
      jobId: job.job_id,
      prompt: job.task_type === 'upscale' ? (job.result?.filename ?? '') : job.params.prompt,
    }));
  const firstInfo = await call(infoSchema, '/api/info').catch(() => null);
  if (firstInfo === null) return null;

  let isPaused = firstInfo.queue.paused;
  let images = await recentImages();
  const unfinished = (await Promise.all((['generated', 'processing', 'pending'] as const).map((status) => listed(status, 500)))).flat();
  let emitEnd = (): void => {};
  let socket: WebSocket | null = null;
  let isClosed = false;

  const hear = (message: ServerMessage, listener: (message: ServerMessage) => void): void => {
    const isImage = message.type === 'job_status' && message.status === 'completed';
    // the list of recent images is shown with the message, so it is fetched first
    if (isImage) void refreshImages().then(() => listener(message));
    else listener(message);
  };
  const refreshImages = async (): Promise<void> => {
    images = await recentImages().catch(() => images);
  };
  const connect = (listener: (message: ServerMessage) => void): void => {
    const opened = new WebSocket(`${origin.replace('http', 'ws')}/api/ws`, { headers: { authorization: `Bearer ${key.text()}` } });
    socket = opened;
    opened.on('open', () => opened.send(JSON.stringify({ type: 'watch', all: true })));
    opened.on('message', (data) => {
      const message = serverMessageSchema.safeParse(JSON.parse(String(data)));
      if (message.success) hear(message.data, listener);
    });
    // a close follows
    opened.on('error', () => {});
    opened.on('close', () => {
      if (!isClosed) void reconnect(listener);
    });
  };
  const reconnect = async (listener: (message: ServerMessage) => void): Promise<void> => {
    for (let probe = 0; probe < PROBES && !isClosed; probe++) {
      await delay(PROBE_PAUSE_MS);
      const info = await call(infoSchema, '/api/info').catch(() => null);
      if (info === null) continue;
      isPaused = info.queue.paused;
      return connect(listener);
    }
    if (!isClosed) emitEnd();
  };

  return {
    origin,
    log,
    keyCookie: () => ({ name: KEY_COOKIE, value: key.cookieValue() }),
    takenPort: null,
    isAttached: true,
    watchJobs: connect,
    onEnd: (listener) => {
      emitEnd = listener;
    },
    imageFile: async (filename) => {
      if (basename(filename) !== filename) return null;
      const { outputs_folder } = await call(settingsAnswerSchema, '/api/settings');
      // images stay where they are when the folder for new ones changes
      const { earlierFolders } = new SettingsFile({ dataDir, outputsDir: outputs_folder, log });
      const found = await Promise.all([outputs_folder, ...earlierFolders].map((folder) => fileInside(folder, filename)));
      return found.find((path) => path !== null) ?? null;
    },
    isPaused: () => isPaused,
    setPaused: (pause) => {
      isPaused = pause;
      const body: QueueAction = { action: pause ? 'pause' : 'resume' };
      call(queueSummarySchema, '/api/queue', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }).catch(() => {
        // nothing has changed; if the server is gone, the socket reports it
        isPaused = !pause;
      });
    },
    recentImages: (count) => images.slice(0, count),
    unfinishedJobs: () => unfinished.map(({ job_id }) => job_id),
    close: async () => {
      isClosed = true;
      socket?.close();
    },
  };
}

/** The file's real path if it is directly in this folder. */
async function fileInside(folder: string, filename: string): Promise<string | null> {
  try {
    const [real, inside] = await Promise.all([realpath(join(folder, filename)), realpath(folder)]);
    return dirname(real) === inside ? real : null;
  } catch {
    return null;
  }
}
