import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessageOf } from '#shared/protocol/messages.ts';

export function getStatus(connection: JobsConnection, message: ClientMessageOf<'get_status'>): void {
  connection.getStatus(message.job_id, message.request_id);
}
