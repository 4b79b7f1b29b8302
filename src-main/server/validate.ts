import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { isRecord } from '#main/lib/is-record.ts';
import { paramError } from './param-error.ts';

/** Checks bodies, queries and path params by their zod schemas; what is wrong becomes one of our errors. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  return (data: unknown) => {
    const input = httpPart === 'querystring' ? fromQuery(schema, data) : data;
    const parsed = schema.safeParse(input);
    return parsed.success ? { value: parsed.data } : { error: paramError(schema, input, parsed.error) };
  };
};

/**
 * A query holds only text: what reads as a number or a boolean becomes one where the schema wants that, the rest stays text and is refused by the
 * schema. The access key, which may stand in any address, is taken out.
 */
function fromQuery(schema: z.ZodType, data: unknown): unknown {
  if (!isRecord(data) || !(schema instanceof z.ZodObject)) return data;
  const { token: _, ...query } = data;
  for (const [name, text] of Object.entries(query)) {
    const wanted: unknown = schema.shape[name];
    if (typeof text !== 'string' || !(wanted instanceof z.ZodType)) continue;
    const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text === 'true' ? true : text === 'false' ? false : text;
    if (typeof value !== 'string' && wanted.safeParse(value).success && !wanted.safeParse(text).success) query[name] = value;
  }
  return query;
}
