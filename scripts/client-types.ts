// Writes the types of the JavaScript and the Python client from the schemas: node scripts/client-types.ts
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { cudaPackSchema } from '#shared/domain/cuda-pack.ts';
import { filledImageToImageParamsSchema, filledInpaintParamsSchema, filledParamsSchema, filledUpscaleParamsSchema } from '#shared/domain/job.ts';
import { jobPageSchema, jobRecordSchema, queueSummarySchema } from '#shared/domain/job-record.ts';
import { modelEntrySchema } from '#shared/domain/model.ts';
import { recipeSchema } from '#shared/domain/recipe.ts';
import { infoSchema, modelsSchema, uploadSchema } from '#shared/protocol/http.ts';
import { createJobSchema, jobResultSchema, serverMessageSchema } from '#shared/protocol/messages.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

const inputs = Object.fromEntries(createJobSchema.options.map(({ shape }) => [`${pascal([...shape.task_type.values][0] ?? '')}Params`, shape.params]));
const outputs = {
  ...Object.fromEntries(serverMessageSchema.options.map((message) => [pascal([...message.shape.type.values][0] ?? ''), message])),
  JobRecord: jobRecordSchema,
  JobPage: jobPageSchema,
  QueueSummary: queueSummarySchema,
  Info: infoSchema,
  ModelEntry: modelEntrySchema,
  Models: modelsSchema,
  Recipe: recipeSchema,
  MadeTextToImage: filledParamsSchema,
  MadeImageToImage: filledImageToImageParamsSchema,
  MadeInpaint: filledInpaintParamsSchema,
  MadeUpscale: filledUpscaleParamsSchema,
  JobResult: jobResultSchema,
  CudaPack: cudaPackSchema,
  Upload: uploadSchema,
};

function pascal(name: string): string {
  return name.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Each schema under its name; where one stands inside another, `$ref` is its name. */
function schemas(): [name: string, schema: JsonSchema][] {
  const convert = (all: Record<string, z.ZodType>, io: 'input' | 'output') => {
    const registry = z.registry<{ id: string }>();
    for (const [id, schema] of Object.entries(all)) registry.add(schema, { id });
    return Object.entries(z.toJSONSchema(registry, { io, unrepresentable: 'any', uri: (id) => id }).schemas);
  };
  return [...convert(inputs, 'input'), ...convert(outputs, 'output')];
}

function children(schema: JsonSchema): JsonSchema[] {
  if (Array.isArray(schema.type)) return schema.type.map((type) => ({ ...schema, type }));
  return [...(schema.anyOf ?? schema.oneOf ?? [])].filter((one) => typeof one !== 'boolean');
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null;

function typescript(schema: JsonSchema, indent = ''): string {
  const inner = `${indent}  `;
  if (schema.$ref !== undefined) return schema.$ref;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (children(schema).length > 0) return [...new Set(children(schema).map((one) => typescript(one, indent)))].join(' | ');
  if (schema.type === 'array') return isSchema(schema.items) ? `Array<${typescript(schema.items, indent)}>` : 'unknown[]';
  if (schema.type === 'object' && schema.properties === undefined) return 'Record<string, unknown>';
  if (schema.type === 'object') {
    const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => {
      const optional = schema.required?.includes(name) ? '' : '?';
      return `${inner}${name}${optional}: ${isSchema(field) ? typescript(field, inner) : 'unknown'}${optional ? ' | undefined' : ''};\n`;
    });
    return `{\n${fields.join('')}${indent}}`;
  }
  const names: Record<string, string> = { string: 'string', number: 'number', integer: 'number', boolean: 'boolean', null: 'null' };
  return names[String(schema.type)] ?? 'unknown';
}

/** The class for an object, which Python cannot write in place, goes into `classes` before its use. */
function python(schema: JsonSchema, name: string, classes: string[]): string {
  const literal = (value: unknown): string => (value === null ? 'None' : typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value));
  // may be defined further down
  if (schema.$ref !== undefined) return `"${schema.$ref}"`;
  if (schema.const !== undefined) return `Literal[${literal(schema.const)}]`;
  if (schema.enum !== undefined) return `Literal[${schema.enum.map(literal).join(', ')}]`;
  if (children(schema).length > 0) return `Union[${[...new Set(children(schema).map((one, at) => python(one, `${name}${at + 1}`, classes)))].join(', ')}]`;
  if (schema.type === 'array') return isSchema(schema.items) ? `List[${python(schema.items, `${name}Item`, classes)}]` : 'List[Any]';
  if (schema.type === 'object' && schema.properties === undefined) return 'Dict[str, Any]';
  if (schema.type === 'object') {
    const fields = Object.entries(schema.properties ?? {}).map(([field, type]) => {
      const inner = isSchema(type) ? python(type, name + pascal(field), classes) : 'Any';
      return `    "${field}": ${schema.required?.includes(field) ? inner : `NotRequired[${inner}]`},\n`;
    });
    // the form that also takes names such as "from"
    classes.push(`${name} = TypedDict("${name}", {\n${fields.join('')}})\n`);
    return name;
  }
  const names: Record<string, string> = { string: 'str', number: 'float', integer: 'int', boolean: 'bool', null: 'None' };
  return names[String(schema.type)] ?? 'Any';
}

/** The generated files by their path in the repository. */
export function clientTypes(): Record<string, string> {
  const classes: string[] = [];
  for (const [name, schema] of schemas()) {
    const found = python(schema, name, classes);
    if (found !== name) classes.push(`${name} = ${found}\n`);
  }
  const generated = 'generated by scripts/client-types.ts';
  return {
    'clients/js/wire.d.ts': `/* ${generated} */\n${schemas()
      .map(([name, schema]) => `\nexport type ${name} = ${typescript(schema)};\n`)
      .join('')}`,
    'clients/python/zimage_client/wire.py': `"""Types of messages and answers: ${generated}."""\n\nfrom typing import Any, Dict, List, Literal, Union\n\nfrom typing_extensions import NotRequired, TypedDict\n\n${classes.join('\n')}`,
  };
}

if (import.meta.main) for (const [path, text] of Object.entries(clientTypes())) writeFileSync(join(import.meta.dirname, '..', path), text);
