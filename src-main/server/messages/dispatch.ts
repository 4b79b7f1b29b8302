import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessage } from '#shared/protocol/messages.ts';
import { cancelJob } from './cancel-job.ts';
import { createJob } from './create-job.ts';
import { getClientJobs } from './get-client-jobs.ts';
import { getStatus } from './get-status.ts';
import { watch } from './watch.ts';

/** Hands a message to its handler. Rejects with the handler's `AppError`. */
export async function dispatch(connection: JobsConnection, message: ClientMessage): Promise<void> {
  switch (message.type) {
    case 'create_job':
      return createJob(connection, message);
    case 'get_status':
      return getStatus(connection, message);
    case 'cancel_job':
      return cancelJob(connection, message);
    case 'get_client_jobs':
      return getClientJobs(connection, message);
    case 'watch':
      return watch(connection, message);
  }
}
