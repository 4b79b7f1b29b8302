import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { isRecord } from '#main/lib/is-record.ts';
import { paramError } from './param-error.ts';

/** Checks bodies, queries and path params by their zod schemas; what is wrong becomes one of our errors. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  return (data: unknown) => {
    const input = httpPart === 'querystring' && isRecord(data) ? fromQuery(schema, data) : data;
    const parsed = schema.safeParse(input);
    return parsed.success ? { value: parsed.data } : { error: paramError(schema, input, parsed.error) };
  };
};

/** The access key, which may stand in any address, is taken out. */
function fromQuery(schema: z.ZodType, { token: _, ...query }: Record<string, unknown>): Record<string, unknown> {
  return fromTexts(schema, query);
}

/**
 * A query or a form holds only text: what reads as a number or a boolean becomes one where the schema wants that, the rest stays text and is refused by
 * the schema.
 */
export function fromTexts(schema: z.ZodType, texts: Record<string, unknown>): Record<string, unknown> {
  if (!(schema instanceof z.ZodObject)) return texts;
  const values = { ...texts };
  for (const [name, text] of Object.entries(texts)) {
    const wanted: unknown = schema.shape[name];
    if (typeof text !== 'string' || !(wanted instanceof z.ZodType)) continue;
    const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text === 'true' ? true : text === 'false' ? false : text;
    if (typeof value !== 'string' && wanted.safeParse(value).success && !wanted.safeParse(text).success) values[name] = value;
  }
  return values;
}
