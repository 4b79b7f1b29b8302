import type { z } from 'zod';
import { describeValues } from '../describe-values.ts';
import { escapeHtml, page } from '../plain-pages.ts';
import { documentMessages, type MessageDoc } from './asyncapi.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

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
  return `<section id="${name}">
<h3>${name}</h3>
<p>${escapeHtml(summary)}</p>
<table><thead><tr><th>Field</th><th>Value</th><th>Presence</th></tr></thead><tbody>
${rowsOf(payload, '').join('\n')}
</tbody></table>
<pre><code>${escapeHtml(JSON.stringify(example, null, 2))}</code></pre>
</section>`;
}

/** One row a field; fields of inner objects and list items follow with a dotted name. */
function rowsOf(schema: JsonSchema, prefix: string): string[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return [];
    const field = `${prefix}${name}`;
    const presence = required.has(name) ? 'always' : value.default === undefined ? 'optional' : `default ${JSON.stringify(value.default)}`;
    const row = `<tr><td><code>${escapeHtml(field)}</code></td><td>${escapeHtml(describeValues([value]))}</td><td>${escapeHtml(presence)}</td></tr>`;
    return [row, ...innerRows(value, field)];
  });
}

function innerRows(schema: JsonSchema, field: string): string[] {
  const { items, anyOf } = schema;
  const inItems = typeof items === 'object' && !Array.isArray(items) ? rowsOf(items, `${field}[].`) : [];
  const inOptions = (anyOf ?? []).flatMap((option) => (typeof option === 'boolean' ? [] : rowsOf(option, `${field}.`)));
  return [...rowsOf(schema, `${field}.`), ...inItems, ...inOptions];
}

export const websocketPageStyle = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; padding: 0; list-style: none; }
section { margin: 2rem 0; border-top: 1px solid color-mix(in srgb, currentcolor 20%, transparent); }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.75rem 0.35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid color-mix(in srgb, currentcolor 12%, transparent); }
td:nth-child(2) { overflow-wrap: anywhere; }
pre { padding: 0.75rem 1rem; overflow-x: auto; border-radius: 0.5rem; background: color-mix(in srgb, currentcolor 7%, transparent); font-size: 0.85rem; }
`;
