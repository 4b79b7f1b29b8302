import { type CreateJob, createJobSchema } from '#shared/protocol/messages.ts';
import { paramError } from '../param-error.ts';

/** What a door asks for, checked as the WebSocket's `create_job`. Throws `bad_param`, `missing_param`. */
export function parseWork(taskType: CreateJob['task_type'], params: object): CreateJob {
  const message = { type: 'create_job', task_type: taskType, params };
  const parsed = createJobSchema.safeParse(message);
  if (!parsed.success) throw paramError(createJobSchema, message, parsed.error);
  return parsed.data;
}
