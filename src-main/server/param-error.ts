import { z } from 'zod';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { describeValues } from './describe-values.ts';
import { sourceOf } from './json-source.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/**
 * What zod found wrong, as one error of ours: `unknown_param` before `missing_param` before `bad_param`, since a misspelt name is often why another is
 * missing. The sentence names the field, the value met and the values allowed, which are read from the schema itself.
 * `input` is what was parsed. An input that is no object at all is `bad_message`.
 */
export function paramError(schema: z.ZodType, input: unknown, error: z.ZodError): AppError {
  const root = jsonSchemaOf(schema);
  const unknown = error.issues.find((issue) => issue.code === 'unrecognized_keys');
  if (unknown !== undefined) return unknownParam(root, input, unknown);
  // a rule of our own, over several fields, may name one that was left out: it counts where nothing else is wrong
  const findings = [...error.issues.filter(({ code }) => code !== 'custom'), ...error.issues.filter(({ code }) => code === 'custom')];
  const isMissing = ({ path }: z.core.$ZodIssue): boolean => path.length > 0 && valueAt(input, path) === undefined;
  const issue = findings.find((finding) => finding.code !== 'custom' && isMissing(finding)) ?? findings[0];
  const path = issue?.path ?? [];
  const allowed = describeValues(schemasAt(root, path, input));
  if (path.length === 0) return new AppError('bad_message', `${quoteInput(input)} was sent; it must be ${allowed}.`, {}, { cause: error });
  const field = fieldName(path);
  if (issue !== undefined && isMissing(issue)) return new AppError('missing_param', `${field} is missing; it must be ${allowed}.`, { field }, { cause: error });
  // a rule of our own says what the JSON schema cannot
  const rule = issue?.code === 'custom' ? `; it ${issue.message}` : '';
  return new AppError(
    'bad_param',
    `${field} is ${quoteInput(valueAt(input, path), sourceOf(input)(path))}; it must be ${allowed}${rule}.`,
    { field },
    { cause: error },
  );
}

function unknownParam(root: JsonSchema, input: unknown, issue: z.core.$ZodIssueUnrecognizedKeys): AppError {
  const key = issue.keys[0] ?? '';
  const names = new Set(schemasAt(root, issue.path, input).flatMap((schema) => Object.keys(schema.properties ?? {})));
  const known = names.size === 0 ? 'none is expected here' : `known are ${[...names].join(', ')}`;
  return new AppError('unknown_param', `There is no param ${quoteValue(key)}; ${known}.`, { field: key.slice(0, 100) });
}

/** The original's params stand inside `params`; a client knows them by their own name. */
function fieldName(path: readonly PropertyKey[]): string {
  const inner = path.length > 1 && path[0] === 'params' ? path.slice(1) : path;
  return inner.map(String).join('.');
}

const jsonSchemas = new WeakMap<z.ZodType, JsonSchema>();

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const known = jsonSchemas.get(schema) ?? z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  jsonSchemas.set(schema, known);
  return known;
}

/** The schemas that may hold at `path`; of a union, the branches whose fixed fields fit the input, or all if no branch fits. */
function schemasAt(root: JsonSchema, path: readonly PropertyKey[], input: unknown): JsonSchema[] {
  let schemas = branches(root, input);
  let value = input;
  for (const key of path) {
    value = valueAt(value, [key]);
    schemas = schemas.flatMap((schema) => {
      const next = typeof key === 'number' ? schema.items : schema.properties?.[String(key)];
      return isSchema(next) ? branches(next, value) : [];
    });
  }
  return schemas;
}

function branches(schema: JsonSchema, input: unknown): JsonSchema[] {
  const options = (schema.oneOf ?? schema.anyOf ?? []).filter(isSchema).flatMap((option) => branches(option, input));
  if (options.length === 0) return [schema];
  const fitting = options.filter((option) =>
    Object.entries(option.properties ?? {}).every(([key, inner]) => !isSchema(inner) || inner.const === undefined || inner.const === valueAt(input, [key])),
  );
  return fitting.length === 0 ? options : fitting;
}

function isSchema(value: unknown): value is JsonSchema {
  return isRecord(value);
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (Array.isArray(value) && typeof key === 'number') value = value[key];
    else if (isRecord(value) && Object.hasOwn(value, key)) value = value[String(key)];
    else return undefined;
  }
  return value;
}

/** A number in the digits that were sent. JSON has no infinity: that is what a number beyond 1.8e308 becomes. */
function quoteInput(value: unknown, source?: string): string {
  if (typeof value === 'number' && source !== undefined && source.length <= 100) return source;
  if (typeof value === 'number' && !Number.isFinite(value)) return 'a number too large for JSON programs';
  return quoteValue(value);
}
