import type { z } from 'zod';
import { escapeHtml, page } from '../plain-pages.ts';
import { documentMessages, type MessageDoc } from './asyncapi.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

interface Row {
  field: string;
  type: string;
  allowed: string;
  presence: string;
}

/** The WebSocket's page: every message with its fields, their ranges and an example. Static HTML without script. */
export function websocketPage(): string {
  const messages = documentMessages();
  const list = (from: MessageDoc['from']): string =>
    messages
      .filter((message) => message.from === from)
      .map(section)
      .join('\n');
  const links = messages.map(({ name }) => `<li><a href="#${name}">${name}</a></li>`).join('');
  return page(
    'WebSocket messages',
    `<header><h1>WebSocket messages</h1>
<p><code>/api/ws?client_id=ID&amp;since=N</code> — one JSON object a text frame. <a href="/docs">HTTP</a> · <a href="/docs/asyncapi.json">AsyncAPI document</a></p></header>
<nav><ul>${links}</ul></nav>
<main>
<h2>What a client sends</h2>
${list('client')}
<h2>What the server sends</h2>
${list('server')}
</main>`,
    '<link rel="stylesheet" href="/docs/websocket.css">',
  );
}

function section({ name, summary, payload, example }: MessageDoc): string {
  const rows = rowsOf(payload, '').map(
    ({ field, type, allowed, presence }) => `<tr><td><code>${field}</code></td><td>${type}</td><td>${allowed}</td><td>${presence}</td></tr>`,
  );
  return `<section id="${name}">
<h3>${name}</h3>
<p>${escapeHtml(summary)}</p>
<table><thead><tr><th>Field</th><th>Type</th><th>Allowed</th><th>Presence</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
<pre><code>${escapeHtml(JSON.stringify(example, null, 2))}</code></pre>
</section>`;
}

/** One row a field; fields of inner objects and list items follow with a dotted name. */
function rowsOf(schema: JsonSchema, prefix: string): Row[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return [];
    const field = `${prefix}${name}`;
    const presence = required.has(name) ? 'always' : value.default === undefined ? 'optional' : `default ${JSON.stringify(value.default)}`;
    const row: Row = { field: escapeHtml(field), type: escapeHtml(typeOf(value)), allowed: escapeHtml(allowedOf(value)), presence: escapeHtml(presence) };
    return [row, ...innerRows(value, field)];
  });
}

function innerRows(schema: JsonSchema, field: string): Row[] {
  const { items, anyOf } = schema;
  const inItems = typeof items === 'object' && !Array.isArray(items) ? rowsOf(items, `${field}[].`) : [];
  const inOptions = (anyOf ?? []).flatMap((option) => (typeof option === 'boolean' ? [] : rowsOf(option, `${field}.`)));
  return [...rowsOf(schema, `${field}.`), ...inItems, ...inOptions];
}

function typeOf(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map((option) => (typeof option === 'boolean' ? 'anything' : typeOf(option))).join(' or ');
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  return schema.type ?? typeof schema.const;
}

function allowedOf(schema: JsonSchema): string {
  const { minimum, maximum, multipleOf, minLength, maxLength, pattern } = schema;
  if (schema.anyOf !== undefined)
    return schema.anyOf
      .map((option) => (typeof option === 'boolean' ? '' : allowedOf(option)))
      .filter((text) => text !== '')
      .join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(', ');
  const parts: string[] = [];
  if (minimum !== undefined && minimum !== Number.MIN_SAFE_INTEGER) parts.push(`≥ ${minimum}`);
  if (maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER) parts.push(`≤ ${maximum}`);
  if (maximum === Number.MAX_SAFE_INTEGER && minimum !== Number.MIN_SAFE_INTEGER) parts.push('≤ 2^53-1');
  if (multipleOf !== undefined) parts.push(`multiple of ${multipleOf}`);
  if (minLength !== undefined) parts.push(`${minLength} characters or more`);
  if (maxLength !== undefined) parts.push(`at most ${maxLength} characters`);
  if (pattern !== undefined) parts.push(`matches ${pattern}`);
  return parts.join(', ');
}

export const websocketPageStyle = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; padding: 0; list-style: none; }
section { margin: 2rem 0; border-top: 1px solid color-mix(in srgb, currentcolor 20%, transparent); }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.75rem 0.35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid color-mix(in srgb, currentcolor 12%, transparent); }
td:nth-child(3) { overflow-wrap: anywhere; }
pre { padding: 0.75rem 1rem; overflow-x: auto; border-radius: 0.5rem; background: color-mix(in srgb, currentcolor 7%, transparent); font-size: 0.85rem; }
`;
