import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessageOf } from '#shared/protocol/messages.ts';

export function getClientJobs(connection: JobsConnection, message: ClientMessageOf<'get_client_jobs'>): void {
  connection.clientJobs(message.request_id);
}
