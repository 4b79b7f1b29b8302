import { createJobs } from '#main/jobs/create-jobs.ts';
import { clientMessageSchema } from '#shared/protocol/messages.ts';
import { FixedRegistry } from './fixed-registry.ts';
import { SteppedEngine } from './stepped-engine.ts';

/** Jobs in a process that a test kills: takes one job after the other and says each id on a line of its own once it is acknowledged. */
const [dataDir = '', outputsDir = '', round = ''] = process.argv.slice(2);
const log = { info: () => {}, warn: () => {}, error: (fields: Record<string, unknown>, text: string) => console.error(text, fields) };
const engine = new SteppedEngine({ runsAlone: true });
const jobs = await createJobs({ dataDir, outputsDir, engine, registry: new FixedRegistry(), programVersion: '1.2.3', log });
const connection = jobs.connect({ clientId: 'a' }, (message) => {
  if (message.type === 'job_status') process.stdout.write(`${message.job_id} ${message.status}\n`);
});
for (let job = 0; ; job++) {
  const params = { prompt: `${round} ${job}`, width: 256, height: 256 };
  const message = clientMessageSchema.parse({ type: 'create_job', task_type: 'text_to_image', params });
  if (message.type === 'create_job') await connection.create(message, (reason) => console.error(reason));
}
