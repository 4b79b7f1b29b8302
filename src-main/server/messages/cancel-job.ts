import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessageOf } from '#shared/protocol/messages.ts';

export function cancelJob(connection: JobsConnection, message: ClientMessageOf<'cancel_job'>): void {
  connection.cancel(message.job_id, message.request_id);
}
