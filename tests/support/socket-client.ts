import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { type ErrorMessage, type JobStatusMessage, type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';

/** A WebSocket client: sends, records received messages and waits for new ones. */
export class SocketClient {
  readonly received: ServerMessage[] = [];
  readonly #socket: WebSocket;
  #waiters: (() => void)[] = [];
  #requests = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      this.received.push(serverMessageSchema.parse(JSON.parse(data.toString())));
      for (const wake of this.#waiters.splice(0)) wake();
    });
    socket.on('close', () => {
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }

  /** @param url The server's, `http://HOST:PORT`. */
  static async open(url: string, clientId: string): Promise<SocketClient> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws?client_id=${clientId}`);
    const client = new SocketClient(socket);
    await once(socket, 'open');
    return client;
  }

  /** Requests a small image; resolves with the answer. */
  async create(prompt: string, more: Partial<TextToImageParams> = {}): Promise<JobStatusMessage | ErrorMessage> {
    const requestId = `create ${this.#requests++}`;
    const params = { prompt, width: 256, height: 256, steps: 4, ...more };
    this.#socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', request_id: requestId, params }));
    return this.#first((message) => (message.type === 'job_status' || message.type === 'error') && message.request_id === requestId);
  }

  /** Requests a small image; resolves with its end: `completed`, `failed` or a refusal. */
  async make(prompt: string, more: Partial<TextToImageParams> = {}): Promise<JobStatusMessage | ErrorMessage> {
    const heard = this.received.length;
    const answer = await this.create(prompt, more);
    if (answer.type === 'error') return answer;
    return this.status(answer.job_id, ['completed', 'failed'], heard);
  }

  /** The first of these statuses that the job had from message number `from` on. */
  status(jobId: string, statuses: readonly JobStatusMessage['status'][], from = 0): Promise<JobStatusMessage> {
    return this.#first((message) => message.type === 'job_status' && message.job_id === jobId && statuses.includes(message.status), from);
  }

  /** Sends all messages at once; resolves with everything received since the last call, up to the answer to a final message after them. */
  async converse(messages: readonly unknown[]): Promise<ServerMessage[]> {
    const last = `last ${this.#requests++}`;
    for (const message of [...messages, { type: 'watch', request_id: last }]) this.#socket.send(JSON.stringify(message));
    const isLast = (message: ServerMessage): boolean => message.type === 'watching' && message.request_id === last;
    while (!this.received.some(isLast)) await this.#next();
    const heard = this.received.splice(0, this.received.findIndex(isLast) + 1);
    return heard.slice(0, -1);
  }

  close(): void {
    this.#socket.close();
  }

  async #first<Kind extends JobStatusMessage | ErrorMessage>(isIt: (message: ServerMessage) => boolean, from = 0): Promise<Kind> {
    for (;;) {
      const found = this.received.slice(from).find((message): message is ServerMessage & Kind => isIt(message));
      if (found !== undefined) return found;
      await this.#next();
    }
  }

  async #next(): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error(`the connection was closed; received so far: ${JSON.stringify(this.received)}`);
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}
