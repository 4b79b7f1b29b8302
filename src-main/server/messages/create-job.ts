import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { CreateJob } from '#shared/protocol/messages.ts';

/** Resolves once the job is durable; its `pending` was sent by then. */
export function createJob(connection: JobsConnection, message: CreateJob): Promise<void> {
  return connection.create(message);
}
