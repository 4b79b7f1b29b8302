import type { z } from 'zod';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The values that the schemas allow, in words: `a whole number from 1 to 50`, `"uint4" or "int8"`. */
export function describeValues(schemas: readonly JsonSchema[]): string {
  const sentences = new Set(schemas.map(describeOne));
  return sentences.size === 0 ? 'something else' : [...sentences].join(' or ');
}

function describeOne(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (schema.anyOf !== undefined) return describeValues(schema.anyOf.filter((option) => typeof option === 'object'));
  if (Array.isArray(schema.type)) return schema.type.map((type) => describeOne({ ...schema, type })).join(' or ');
  switch (schema.type) {
    case 'integer':
    case 'number':
      return `${schema.type === 'integer' ? 'a whole number' : 'a number'}${range(schema)}${schema.multipleOf === undefined ? '' : ` that divides by ${schema.multipleOf}`}`;
    case 'string':
      return describeString(schema);
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return 'an object';
    default:
      return schema.type ?? 'something else';
  }
}

function range({ minimum, maximum, exclusiveMinimum }: JsonSchema): string {
  const low = minimum === Number.MIN_SAFE_INTEGER ? undefined : (minimum ?? exclusiveMinimum);
  if (low === undefined) return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? '' : ` up to ${maximum}`;
  const from = minimum === undefined ? `above ${low}` : `from ${low}`;
  if (maximum === undefined) return ` ${from}${minimum === undefined ? '' : ' on'}`;
  return ` ${from} to ${maximum === Number.MAX_SAFE_INTEGER ? `2^53-1 (${maximum})` : maximum}`;
}

function describeString({ minLength, maxLength, pattern }: JsonSchema): string {
  if (pattern !== undefined) return `a string that matches ${pattern}`;
  if (maxLength === undefined) return minLength === undefined ? 'a string' : `a string of ${minLength} characters or more`;
  return minLength === undefined ? `a string of at most ${maxLength} characters` : `a string of ${minLength} to ${maxLength} characters`;
}
