import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { CreateJob } from '#shared/protocol/messages.ts';

/** Resolves once the job is durable and its `pending` was sent, or `refuse` was called. */
export function createJob(connection: JobsConnection, message: CreateJob, refuse: (reason: unknown) => void): Promise<void> {
  return connection.create(message, refuse);
}
