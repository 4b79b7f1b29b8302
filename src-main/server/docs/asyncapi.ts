import { z } from 'zod';
import { clientMessageSchemas, serverMessageSchema } from '#shared/protocol/messages.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

export interface MessageDoc {
  name: string;
  summary: string;
  /** Who sends it. */
  from: 'client' | 'server';
  payload: JsonSchema;
  example: unknown;
}

/** Every message of the WebSocket with the JSON schema of its payload (draft 7, as AsyncAPI wants), from the schemas that both sides parse with. */
export function documentMessages(): MessageDoc[] {
  const client = clientMessageSchemas.map((schema) => documentMessage(schema, nameOf(schema.shape), 'client'));
  const server = serverMessageSchema.options.map((schema) => documentMessage(schema, schema.shape.type.value, 'server'));
  return [...client, ...server];
}

/** `create_job` has a payload for each task. */
function nameOf(shape: (typeof clientMessageSchemas)[number]['shape']): string {
  return 'task_type' in shape && shape.task_type.value !== 'text_to_image' ? `${shape.type.value}.${shape.task_type.value}` : shape.type.value;
}

function documentMessage(schema: z.ZodType, name: string, from: MessageDoc['from']): MessageDoc {
  const { description, examples, $schema: _, ...payload } = z.toJSONSchema(schema, { io: from === 'client' ? 'input' : 'output', target: 'draft-7' });
  return { name, from, summary: description ?? '', payload, example: examples?.[0] };
}

/** The AsyncAPI 3 document. Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 */
export function createAsyncApi(version: string): Record<string, unknown> {
  const messages = documentMessages();
  const refs = (from: MessageDoc['from']) =>
    messages.filter((message) => message.from === from).map(({ name }) => ({ $ref: `#/channels/socket/messages/${name}` }));
  return {
    asyncapi: '3.0.0',
    info: { title: 'Z-Image-Turbo Studio', version, description: 'Each text frame is one JSON object with a type.' },
    defaultContentType: 'application/json',
    servers: { local: { host: 'localhost:8004', protocol: 'ws' } },
    channels: {
      socket: {
        address: '/api/ws',
        bindings: {
          ws: {
            method: 'GET',
            query: {
              type: 'object',
              properties: {
                client_id: { type: 'string', minLength: 1, maxLength: 128, description: 'Holds the subscriptions across connections.' },
                since: { type: 'integer', minimum: 0, description: 'Send again what came after this event number.' },
              },
            },
          },
        },
        messages: Object.fromEntries(messages.map(({ name }) => [name, { $ref: `#/components/messages/${name}` }])),
      },
    },
    operations: {
      // receive and send are seen from the server
      fromClient: { action: 'receive', channel: { $ref: '#/channels/socket' }, messages: refs('client') },
      fromServer: { action: 'send', channel: { $ref: '#/channels/socket' }, messages: refs('server') },
    },
    components: {
      messages: Object.fromEntries(messages.map(({ name, summary, payload, example }) => [name, { name, summary, payload, examples: [{ payload: example }] }])),
    },
  };
}
