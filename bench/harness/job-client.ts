import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';

/** When an image's states arrived, in milliseconds since the request. */
export interface JobTimes {
  generatedMs: number;
  /** NaN if the client did not wait for it. */
  completedMs: number;
}

/** A client like any script, for our server or one with the original's protocol. It gets only its own jobs' messages. */
export class JobClient {
  readonly #socket: WebSocket;

  #onClose: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.once('close', () => this.#onClose());
  }

  static async connect(url: string): Promise<JobClient> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws?client_id=bench-${randomUUID()}`);
    await once(socket, 'open');
    return new JobClient(socket);
  }

  /** Requests all of these at once and waits until each has reached the state. Rejects if one fails or is refused. */
  async draw(paramsOfEach: readonly TextToImageParams[], until: 'generated' | 'completed'): Promise<JobTimes[]> {
    const askedAt = performance.now();
    const since = new Map<string, JobTimes>();
    const done = new Promise<void>((resolve, reject) => {
      const listener = (frame: WebSocket.RawData) => {
        const message = serverMessageSchema.parse(JSON.parse(String(frame)));
        const failure = failureIn(message);
        if (failure !== null) reject(new Error(failure));
        if (message.type !== 'job_status') return;
        const ms = performance.now() - askedAt;
        const known = since.get(message.job_id);
        if (message.status === 'generated') since.set(message.job_id, { generatedMs: ms, completedMs: Number.NaN });
        if (message.status === 'completed') since.set(message.job_id, { generatedMs: known?.generatedMs ?? ms, completedMs: ms });
        const come = [...since.values()].filter(({ completedMs }) => until === 'generated' || !Number.isNaN(completedMs));
        if (come.length < paramsOfEach.length) return;
        this.#socket.off('message', listener);
        resolve();
      };
      this.#socket.on('message', listener);
      this.#onClose = () => reject(new Error('the server closed the socket before the images were done'));
    });
    for (const params of paramsOfEach) this.#socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params }));
    await done;
    return [...since.values()];
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

function failureIn(message: ServerMessage): string | null {
  if (message.type === 'error') return message.message;
  return message.type === 'job_status' && message.status === 'failed' ? (message.error ?? 'the job failed') : null;
}
