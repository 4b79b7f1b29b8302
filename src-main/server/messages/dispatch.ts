import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessage } from '#shared/protocol/messages.ts';
import { cancelJob } from './cancel-job.ts';
import { createJob } from './create-job.ts';
import { getClientJobs } from './get-client-jobs.ts';
import { getStatus } from './get-status.ts';
import { watch } from './watch.ts';

/** What the messages of one socket act upon. */
export interface Connection {
  jobs: JobsConnection;
  watchModels(isWatching: boolean): void;
}

/** Hands a message to its handler. What cannot be done is told to `refuse`; resolves when the message was answered. */
export async function dispatch({ jobs, watchModels }: Connection, message: ClientMessage, refuse: (reason: unknown) => void): Promise<void> {
  try {
    switch (message.type) {
      case 'create_job':
        return await createJob(jobs, message, refuse);
      case 'get_status':
        return getStatus(jobs, message);
      case 'cancel_job':
        return cancelJob(jobs, message);
      case 'get_client_jobs':
        return getClientJobs(jobs, message);
      case 'watch':
        if (message.models !== undefined) watchModels(message.models);
        return watch(jobs, message);
    }
  } catch (thrown) {
    refuse(thrown);
  }
}
