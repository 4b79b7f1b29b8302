import { expect, test } from 'vitest';
import { queueActionSchema } from '#shared/domain/job-record.ts';
import { clientMessageSchema } from '#shared/protocol/messages.ts';
import { paramError } from './param-error.ts';

const ID = 'a'.repeat(64);

/** JSON text, since some traps exist only there. `%` stands for a create_job around these params. */
const cases: [frame: string, code: string, field: string, ...words: string[]][] = [
  // prompt
  ['%{}', 'missing_param', 'prompt', 'prompt is missing', '1 to 4000'],
  ['%{"prompt":5}', 'bad_param', 'prompt', 'is 5', 'a string of 1 to 4000 characters'],
  ['%{"prompt":null}', 'bad_param', 'prompt', 'is null'],
  ['%{"prompt":true}', 'bad_param', 'prompt', 'is true'],
  ['%{"prompt":["a"]}', 'bad_param', 'prompt', '["a"]'],
  ['%{"prompt":{"a":1}}', 'bad_param', 'prompt', 'an object'],
  ['%{"prompt":""}', 'bad_param', 'prompt', 'is ""', '1 to 4000'],
  ['%{"prompt":" \\t\\n\\u3000"}', 'bad_param', 'prompt', 'white space'],
  ['%{"prompt":"a\\ud800"}', 'bad_param', 'prompt', 'surrogate'],
  ['%{"prompt":"\\udc00\\ud800b"}', 'bad_param', 'prompt', 'surrogate'],
  [`%{"prompt":"${'x'.repeat(4001)}"}`, 'bad_param', 'prompt', 'xxx…', '4000'],
  // sizes
  ['%{"prompt":"p","width":"1024"}', 'bad_param', 'width', 'is "1024"', 'a whole number from 256 to 2048 that divides by 16'],
  ['%{"prompt":"p","width":true}', 'bad_param', 'width', 'is true'],
  ['%{"prompt":"p","width":null}', 'bad_param', 'width', 'is null'],
  ['%{"prompt":"p","width":[1024]}', 'bad_param', 'width', '[1024]'],
  ['%{"prompt":"p","width":{}}', 'bad_param', 'width', 'an object'],
  ['%{"prompt":"p","width":1024.5}', 'bad_param', 'width', '1024.5'],
  ['%{"prompt":"p","width":1000}', 'bad_param', 'width', 'is 1000', '16'],
  ['%{"prompt":"p","width":240}', 'bad_param', 'width', 'is 240', '256'],
  ['%{"prompt":"p","width":2064}', 'bad_param', 'width', 'is 2064', '2048'],
  ['%{"prompt":"p","width":0}', 'bad_param', 'width', 'is 0'],
  ['%{"prompt":"p","width":-1024}', 'bad_param', 'width', '-1024'],
  ['%{"prompt":"p","width":1e400}', 'bad_param', 'width', 'too large'],
  ['%{"prompt":"p","width":-1e400}', 'bad_param', 'width', 'too large'],
  ['%{"prompt":"p","height":"a"}', 'bad_param', 'height', 'is "a"'],
  ['%{"prompt":"p","height":4096}', 'bad_param', 'height', '2048'],
  // steps
  ['%{"prompt":"p","steps":0}', 'bad_param', 'steps', 'is 0', '1 to 50'],
  ['%{"prompt":"p","steps":51}', 'bad_param', 'steps', 'is 51'],
  ['%{"prompt":"p","steps":1.5}', 'bad_param', 'steps', 'is 1.5', 'whole number'],
  ['%{"prompt":"p","steps":"9"}', 'bad_param', 'steps', 'is "9"'],
  ['%{"prompt":"p","steps":false}', 'bad_param', 'steps', 'is false'],
  // guidance_scale
  ['%{"prompt":"p","guidance_scale":-0.1}', 'bad_param', 'guidance_scale', '-0.1', '0 to 20'],
  ['%{"prompt":"p","guidance_scale":20.01}', 'bad_param', 'guidance_scale', '20.01'],
  ['%{"prompt":"p","guidance_scale":"0"}', 'bad_param', 'guidance_scale', 'is "0"', 'a number'],
  ['%{"prompt":"p","guidance_scale":1e400}', 'bad_param', 'guidance_scale', 'too large'],
  // seed
  ['%{"prompt":"p","seed":-1}', 'bad_param', 'seed', 'is -1', '2^53-1'],
  ['%{"prompt":"p","seed":9007199254740992}', 'bad_param', 'seed', '9007199254740992', '2^53-1'],
  ['%{"prompt":"p","seed":9007199254740993}', 'bad_param', 'seed', '2^53-1'],
  ['%{"prompt":"p","seed":123456789012345678901234567890}', 'bad_param', 'seed'],
  ['%{"prompt":"p","seed":0.5}', 'bad_param', 'seed', '0.5'],
  ['%{"prompt":"p","seed":null}', 'bad_param', 'seed', 'is null'],
  // model_type
  ['%{"prompt":"p","model_type":"int4"}', 'bad_param', 'model_type', 'is "int4"', '"uint4" or "int8"'],
  ['%{"prompt":"p","model_type":"UINT4"}', 'bad_param', 'model_type', 'UINT4'],
  ['%{"prompt":"p","model_type":4}', 'bad_param', 'model_type', 'is 4'],
  ['%{"prompt":"p","model_type":["uint4"]}', 'bad_param', 'model_type', '["uint4"]'],
  // names
  ['%{"prompt":"p","negative":"x"}', 'unknown_param', 'negative', 'known are prompt, width, height'],
  ['%{"promt":"p"}', 'unknown_param', 'promt', '"promt"'],
  ['%{"prompt":"p","Width":1024}', 'unknown_param', 'Width'],
  ['%{"prompt":"p","__proto__":{"width":1}}', 'unknown_param', '__proto__'],
  ['%{"prompt":"p","constructor":1}', 'unknown_param', 'constructor'],
  ['%{"prompt":"p","":1}', 'unknown_param', ''],
  // params itself
  ['%[]', 'bad_param', 'params', 'an object'],
  ['%null', 'bad_param', 'params', 'is null'],
  ['%"prompt"', 'bad_param', 'params', 'is "prompt"'],
  ['%7', 'bad_param', 'params', 'is 7'],
  [`%${'['.repeat(20_000)}${']'.repeat(20_000)}`, 'bad_param', 'params', 'an object'],
  [`%{"prompt":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 'bad_param', 'prompt', 'a list'],
  ['{"type":"create_job","task_type":"text_to_image"}', 'missing_param', 'params', 'an object'],
  // around it
  ['{"type":"create_job","params":{"prompt":"p"}}', 'missing_param', 'task_type', '"text_to_image"'],
  ['{"type":"create_job","task_type":"image_to_video","params":{"prompt":"p"}}', 'bad_param', 'task_type', 'image_to_video', '"text_to_image"'],
  ['{"type":"create_job","task_type":null,"params":{"prompt":"p"}}', 'bad_param', 'task_type', 'is null'],
  ['{"type":"create_job","task_type":"text_to_image","request_id":{},"params":{"prompt":"p"}}', 'bad_param', 'request_id', 'or a number'],
  [`{"type":"get_status","job_id":"${ID}","request_id":"${'r'.repeat(257)}"}`, 'bad_param', 'request_id', '256'],
  [`{"type":"get_status","job_id":"${ID}","request_id":true}`, 'bad_param', 'request_id', 'is true'],
  ['{"type":"get_status"}', 'missing_param', 'job_id'],
  ['{"type":"get_status","job_id":"abc"}', 'bad_param', 'job_id', 'is "abc"', '64'],
  [`{"type":"get_status","job_id":"${ID.toUpperCase()}"}`, 'bad_param', 'job_id'],
  [`{"type":"cancel_job","job_id":["${ID}"]}`, 'bad_param', 'job_id'],
  ['{"type":"watch","since":-1}', 'bad_param', 'since', 'is -1', 'from 0'],
  ['{"type":"watch","since":"3"}', 'bad_param', 'since', 'is "3"'],
  ['{"type":"watch","all":1}', 'bad_param', 'all', 'is 1', 'true or false'],
  ['{"type":"watch","previews":"yes"}', 'bad_param', 'previews', 'is "yes"'],
];

test.for(cases)('%s', ([text, code, field, ...words]) => {
  const frame = text.startsWith('%') ? `{"type":"create_job","task_type":"text_to_image","params":${text.slice(1)}}` : text;
  const input: unknown = JSON.parse(frame);
  const parsed = clientMessageSchema.safeParse(input);
  if (parsed.success) throw new Error('was not refused');
  const error = paramError(clientMessageSchema, input, parsed.error);
  expect([error.code, error.data]).toEqual([code, { field }]);
  for (const word of words) expect(error.message).toContain(word);
  expect(error.message.length).toBeLessThan(400);
});

test.for([
  ['{}', 'missing_param', { field: 'action' }, '"pause" or "resume" or "clear" or "move"'],
  ['{"action":"stop"}', 'bad_param', { field: 'action' }, '"stop"'],
  ['{"action":"move"}', 'missing_param', { field: 'job_id' }, 'a string'],
  ['{"action":"move","job_id":"a","before":7}', 'bad_param', { field: 'before' }, 'a string or null'],
  ['{"action":"pause","job_id":"a"}', 'unknown_param', { field: 'job_id' }, 'known are action.'],
  ['[]', 'bad_message', {}, 'an object'],
  ['null', 'bad_message', {}, 'null'],
] as const)('of a union only the branch that was meant speaks: %s', ([text, code, data, words]) => {
  const input: unknown = JSON.parse(text);
  const parsed = queueActionSchema.safeParse(input);
  if (parsed.success) throw new Error('was not refused');
  const error = paramError(queueActionSchema, input, parsed.error);
  expect([error.code, error.data]).toEqual([code, data]);
  expect(error.message).toContain(words);
});
