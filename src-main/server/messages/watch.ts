import type { JobsConnection } from '#main/jobs/jobs.ts';
import type { ClientMessageOf } from '#shared/protocol/messages.ts';

export function watch(connection: JobsConnection, message: ClientMessageOf<'watch'>): void {
  connection.watch({ since: message.since, all: message.all, previews: message.previews, requestId: message.request_id });
}
