import { z } from 'zod';
import { clientMessageSchema, serverMessageSchema } from '#shared/protocol/messages.ts';
import { clientGuide, serverGuide } from './message-guide.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

export interface MessageDoc {
  name: string;
  summary: string;
  /** Who sends it. */
  from: 'client' | 'server';
  payload: JsonSchema;
  example: unknown;
}

/** Every message of the WebSocket with its payload's JSON schema (draft 7, which AsyncAPI takes), from the schemas that both sides parse with. */
export function documentMessages(): MessageDoc[] {
  const client = clientMessageSchema.options.map((schema): MessageDoc => {
    const name = schema.shape.type.value;
    return { name, from: 'client', payload: jsonSchema(schema, 'input'), ...clientGuide[name] };
  });
  const server = serverMessageSchema.options.map((schema): MessageDoc => {
    const name = schema.shape.type.value;
    return { name, from: 'server', payload: jsonSchema(schema, 'output'), ...serverGuide[name] };
  });
  return [...client, ...server];
}

/** The AsyncAPI 3 document. Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 */
export function createAsyncApi(version: string): Record<string, unknown> {
  const messages = documentMessages();
  const refs = (from: MessageDoc['from']) =>
    messages.filter((message) => message.from === from).map(({ name }) => ({ $ref: `#/channels/socket/messages/${name}` }));
  return {
    asyncapi: '3.0.0',
    info: { title: 'Z-Image-Turbo Studio', version, description: 'One JSON object a text frame, told apart by its type.' },
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

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-7' });
  return rest;
}
