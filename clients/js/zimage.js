/** Client of a Z-Image-Turbo Studio server, for browsers and Node.js. Types: zimage.d.ts. */

const RECONNECT_MS = 500;
const MAX_RECONNECT_MS = 5_000;
const ends = new Set(['completed', 'failed', 'cancelled']);

/** An error of the server. `code` is stable, the message is for people. */
export class StudioError extends Error {
  constructor({ code, message, field }, status) {
    super(message);
    this.name = 'StudioError';
    this.code = code;
    this.field = field;
    this.status = status;
  }
}

export class Studio {
  #url;
  #key;
  #WebSocket;
  #retries;
  #socket = null;
  #timer = null;
  #isClosed = false;
  #failures = 0;
  #seq;
  #requests = 0;
  /** Several clients may share a client id; each gets the answers of all. */
  #name = globalThis.crypto.randomUUID().slice(0, 8);
  #previews = false;
  /** Requests without an answer, by request id: jobs, and cancellations of jobs of others. */
  #pending = new Map();
  #jobs = new Set();

  constructor({ url = 'http://127.0.0.1:8004', key, clientId, since, retries = 10, WebSocket = globalThis.WebSocket } = {}) {
    this.#url = url.replace(/\/+$/, '');
    this.#key = key;
    this.#retries = retries;
    this.#WebSocket = WebSocket;
    this.#seq = since;
    this.clientId = clientId ?? `client-${globalThis.crypto.randomUUID()}`;
  }

  /** The number of the newest event: `since` of a later client with the same `clientId`, which then gets what was missed. */
  get seq() {
    return this.#seq;
  }

  create(params, { taskType = 'text_to_image', previews = false } = {}) {
    const job = new Job(this, { type: 'create_job', task_type: taskType, params });
    if (previews) this.#previews = true;
    if (previews && this.#isOpen()) this.#send({ type: 'watch', previews: true });
    this.#jobs.add(job);
    this.#ask(job.message, { job });
    return job;
  }

  /** Makes an image from another one; with `params.mask` only parts of it. Images are file names of images made here, ids of uploads, or bytes. */
  async edit(image, { mask, ...params }, options) {
    const inputs = { image: await this.#reference(image), ...(mask === undefined ? {} : { mask: await this.#reference(mask) }) };
    return this.create({ ...params, ...inputs }, { ...options, taskType: mask === undefined ? 'image_to_image' : 'inpaint' });
  }

  /** Makes an image 2 or 4 times as large; `image` as in `edit`. */
  async upscale(image, params) {
    return this.create({ ...params, image: await this.#reference(image) }, { taskType: 'upscale' });
  }

  /** Uploads the bytes of an image file. Its `id` may start jobs for a day. */
  async upload(bytes) {
    // whatever it is, the server looks at the bytes
    const answer = await this.fetch('/api/uploads', { method: 'PUT', headers: { 'content-type': 'image/png' }, body: bytes });
    return answer.json();
  }

  async #reference(image) {
    if (typeof image === 'string') return image;
    const { id, width, height } = await this.upload(image);
    if (id === null) throw new StudioError({ code: 'bad_param', field: 'image', message: `The image has ${width} x ${height} pixels, which is too large.` });
    return id;
  }

  /** Follows a job that exists. */
  job(jobId) {
    const job = new Job(this, { type: 'get_status', job_id: jobId });
    this.#jobs.add(job);
    this.#ask(job.message, { job });
    return job;
  }

  /** Resolves with the job's status. It reads `cancelled` also while others still want the job. */
  cancel(jobId) {
    return new Promise((resolve, reject) => this.#ask({ type: 'cancel_job', job_id: jobId }, { resolve, reject }));
  }

  /** Calls an HTTP address of the server and returns its JSON. */
  async call(path, { method = 'GET', body, headers = {}, signal } = {}) {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await this.fetch(path, { method, headers: { ...json, ...headers }, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    return answer.status === 204 ? undefined : answer.json();
  }

  /** The bytes of an image, or of its smaller version of `width` pixels. */
  async image(filename, { width } = {}) {
    const answer = await this.fetch(`/api/image/${encodeURIComponent(filename)}${width === undefined ? '' : `?w=${width}`}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  /** `fetch` with the access key. Throws `StudioError` unless the answer is a success. */
  async fetch(path, init = {}) {
    const authorization = this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` };
    const answer = await fetch(`${this.#url}${path}`, { ...init, headers: { ...init.headers, ...authorization } }).catch((cause) => {
      if (init.signal?.aborted) throw cause;
      throw new StudioError({ code: 'unreachable', message: `No server answers at ${this.#url}.` });
    });
    if (answer.ok) return answer;
    const text = await answer.text();
    throw new StudioError(errorIn(text) ?? { code: 'http_error', message: `${this.#url}${path} answered ${answer.status}.` }, answer.status);
  }

  /** Ends the connection. Jobs go on; pending promises reject. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#fail({ code: 'closed', message: 'The client was closed.' });
  }

  #isOpen() {
    return this.#socket?.readyState === 1;
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #ask(message, waiter) {
    if (this.#isClosed) throw new StudioError({ code: 'closed', message: 'The client was closed.' });
    const asked = { ...message, request_id: `${this.#name}-${++this.#requests}` };
    this.#pending.set(asked.request_id, { ...waiter, asked });
    if (this.#isOpen()) this.#send(asked);
    else if (this.#socket === null && this.#timer === null) this.#connect();
  }

  #connect() {
    this.#timer = null;
    const query = new URLSearchParams({ client_id: this.clientId });
    if (this.#seq !== undefined) query.set('since', String(this.#seq));
    // browsers send no header with a WebSocket
    if (this.#key !== undefined) query.set('token', this.#key);
    const socket = new this.#WebSocket(`${this.#url.replace(/^http/, 'ws')}/api/ws?${query}`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      if (this.#previews) this.#send({ type: 'watch', previews: true });
      // the server joins a request that it has seen to its job, so asking twice is safe
      for (const { asked } of this.#pending.values()) this.#send(asked);
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    // a close follows
    socket.onerror = () => {};
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#socket = null;
      if (this.#isClosed || (this.#pending.size === 0 && this.#jobs.size === 0)) return;
      if (++this.#failures > this.#retries) this.#fail({ code: 'unreachable', message: `The server at ${this.#url} does not answer (close code ${code}).` });
      else this.#timer = setTimeout(() => this.#connect(), Math.min(MAX_RECONNECT_MS, RECONNECT_MS * 2 ** (this.#failures - 1)));
    };
  }

  #receive(message) {
    if (typeof message.seq === 'number') this.#seq = Math.max(this.#seq ?? 0, message.seq);
    const waiter = this.#pending.get(message.request_id);
    if (message.type === 'error') {
      this.#pending.delete(message.request_id);
      if (waiter?.job) this.#end(waiter.job, new StudioError(message));
      else waiter?.reject(new StudioError(message));
      return;
    }
    if (message.type === 'job_status' && waiter) {
      this.#pending.delete(message.request_id);
      if (waiter.job) waiter.job.id = message.job_id;
      else waiter.resolve(message);
    }
    if (message.job_id === undefined) return;
    for (const job of this.#jobs) if (job.id === message.job_id) this.#deliver(job, message);
  }

  #deliver(job, message) {
    job.push(message);
    if (message.type === 'job_status' && ends.has(message.status)) this.#end(job);
  }

  #end(job, error) {
    this.#jobs.delete(job);
    job.end(error);
  }

  #fail(reason) {
    const error = new StudioError(reason);
    for (const job of [...this.#jobs]) this.#end(job, error);
    for (const { reject } of this.#pending.values()) reject?.(error);
    this.#pending.clear();
  }
}

/** One job. Iterate it for its messages; `result()` waits for the end. */
export class Job {
  #studio;
  #messages = [];
  #isEnded = false;
  #error;
  #wake = () => {};
  #changed = new Promise((resolve) => (this.#wake = resolve));

  constructor(studio, message) {
    this.#studio = studio;
    this.message = message;
    /** Known with the first message. */
    this.id = message.job_id;
  }

  push(message) {
    // only the newest progress and preview is kept for a reader that comes late
    const last = this.#messages.at(-1);
    if (message.type !== 'job_status' && last?.type === message.type) this.#messages.pop();
    this.#messages.push({ ...message, number: (last?.number ?? -1) + 1 });
    this.#notify();
  }

  end(error) {
    this.#isEnded = true;
    this.#error = error;
    this.#notify();
  }

  #notify() {
    const wake = this.#wake;
    this.#changed = new Promise((resolve) => (this.#wake = resolve));
    wake();
  }

  /** Every status, and of progress and previews the newest, until the job has ended. Throws `StudioError` if the request was refused. */
  async *[Symbol.asyncIterator]() {
    let next = 0;
    while (true) {
      const changed = this.#changed;
      for (const { number, ...message } of this.#messages.filter((one) => one.number >= next)) {
        next = number + 1;
        yield message;
      }
      if (this.#messages.some(({ number }) => number >= next)) continue;
      if (this.#error) throw this.#error;
      if (this.#isEnded) return;
      await changed;
    }
  }

  /** The last status, which is `completed`. Throws `StudioError` with the code of a failure, or `cancelled`. */
  async result() {
    let last;
    for await (const message of this) if (message.type === 'job_status') last = message;
    if (last.status === 'completed') return last;
    throw new StudioError({ code: last.code ?? last.status, message: last.error ?? `The job is ${last.status}.` });
  }

  /** The run stops when no other client wants it. */
  async cancel() {
    // the first message has the id
    while (this.id === undefined && !this.#isEnded) await this.#changed;
    if (this.id === undefined) throw this.#error;
    return this.#studio.cancel(this.id);
  }
}

/** Our error, or null where something else answered. */
function errorIn(text) {
  try {
    const body = JSON.parse(text);
    return typeof body?.code === 'string' && typeof body.message === 'string' ? body : null;
  } catch {
    return null;
  }
}
