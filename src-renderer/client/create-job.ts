import type { InpaintParams, TextToImageParams } from '#shared/domain/job.ts';
import { type ClientMessage, clientMessageSchema } from '#shared/protocol/messages.ts';

/** The params of any task that generates; what they start from decides the task. */
export type GenerateParams = TextToImageParams & Partial<Omit<InpaintParams, keyof TextToImageParams>>;

/** The `create_job` for `params`, also for those that the server has sent. */
export function createJobMessage(params: GenerateParams, request_id: string): ClientMessage {
  return clientMessageSchema.parse({ type: 'create_job', request_id, ...jobRequest(params) });
}

/** Task and params as the server takes them. */
export function jobRequest({ loras, control, masked_size, ...params }: GenerateParams) {
  const named = {
    ...(loras === undefined ? {} : { loras: loras.map(({ name, weight }) => ({ name, weight })) }),
    ...(control === undefined ? {} : { control: withoutIdentity(control) }),
  };
  return { task_type: taskOf(params), params: { ...params, ...masked_size, ...named } };
}

function withoutIdentity({ identity: _, ...control }: NonNullable<GenerateParams['control']>) {
  return control;
}

function taskOf({ image, mask, expand }: Pick<GenerateParams, 'image' | 'mask' | 'expand'>): string {
  if (image === undefined) return 'text_to_image';
  return mask === undefined && expand === undefined ? 'image_to_image' : 'inpaint';
}
