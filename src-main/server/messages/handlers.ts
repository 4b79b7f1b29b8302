import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessage, ClientMessageOf } from '#shared/protocol/messages.ts';

/** What the messages of one socket act on. */
export interface Connection {
  jobs: JobsConnection;
  watchModels(isWatching: boolean): void;
}

type Refuse = (reason: unknown) => void;

/** One handler for each message type. It answers through the connection, throws, or calls `refuse`. */
const handlers: { [T in ClientMessage['type']]: (connection: Connection, message: ClientMessageOf<T>, refuse: Refuse) => void | Promise<void> } = {
  create_job: ({ jobs }, message, refuse) => jobs.create(message, refuse),
  get_status: ({ jobs }, { job_id, request_id }) => jobs.getStatus(job_id, request_id),
  cancel_job: ({ jobs }, { job_id, request_id }) => jobs.cancel(job_id, request_id),
  get_client_jobs: ({ jobs }, { limit, before, request_id }) => jobs.clientJobs({ limit, before, requestId: request_id }),
  watch: ({ jobs, watchModels }, { since, all, previews, models, request_id }) => {
    if (models !== undefined) watchModels(models);
    jobs.watch({ since, all, previews, requestId: request_id });
  },
};

/** Resolves when the message was answered. What a handler throws goes to `refuse`. */
export async function handleMessage<T extends ClientMessage['type']>(
  connection: Connection,
  message: ClientMessageOf<T> & { type: T },
  refuse: Refuse,
): Promise<void> {
  try {
    await handlers[message.type](connection, message, refuse);
  } catch (thrown) {
    refuse(thrown);
  }
}
