import { once } from 'node:events';
import WebSocket from 'ws';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { serverMessageSchema } from '#shared/protocol/messages.ts';
import { type HeadlessOptions, HeadlessProcess } from '../../tests/support/headless-process.ts';
import { JobClient } from './job-client.ts';

/** The program as `start.sh` runs it, in a separate process, on a free local port. */
export class HeadlessServer {
  readonly url: string;
  readonly #process: HeadlessProcess;

  private constructor(process: HeadlessProcess, url: string) {
    this.#process = process;
    this.url = url;
  }

  static async start(dataDir: string, { args = [], ...options }: Omit<HeadlessOptions, 'dataDir'> = {}): Promise<HeadlessServer> {
    const process = new HeadlessProcess({ ...options, dataDir, args: ['--log-level', 'warn', ...args] });
    const url = await process.ready;
    if (url === null) throw new Error(`the server ended before it was ready:\n${process.log}`);
    return new HeadlessServer(process, url);
  }

  get pid(): number {
    return this.#process.pid;
  }

  stop(): Promise<void> {
    return this.#process.end();
  }

  /** A client like any script: requests images in sequence, with `ahead` of them waiting or running at any time, until its socket is closed. */
  async keepBusy(params: Omit<TextToImageParams, 'seed'>, ahead: number): Promise<() => Promise<void>> {
    const socket = await this.#connect();
    let seed = Math.floor(Math.random() * 2 ** 32);
    const order = () => socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: { ...params, seed: seed++ } }));
    const drawing = new Promise<void>((resolve) => {
      socket.on('message', (frame) => {
        const message = serverMessageSchema.parse(JSON.parse(String(frame)));
        if (message.type === 'job_status' && message.status === 'completed') order();
        if (message.type === 'job_progress' && message.progress.stage === 'generating') resolve();
      });
    });
    for (let job = 0; job < ahead; job++) order();
    await drawing;
    return () => closed(socket);
  }

  /** Generates these images and waits for the last. */
  async make(paramsOfEach: TextToImageParams[]): Promise<void> {
    const client = await JobClient.connect(this.url);
    await client.draw(paramsOfEach, 'completed');
    await client.close();
  }

  async #connect(): Promise<WebSocket> {
    const socket = new WebSocket(`${this.url.replace('http', 'ws')}/api/ws?client_id=bench`);
    await once(socket, 'open');
    return socket;
  }
}

async function closed(socket: WebSocket): Promise<void> {
  socket.close();
  await once(socket, 'close');
}
