import { isRecord } from '#main/lib/is-record.ts';
import type { HubAnswer, HubClient } from '#main/models/hub-client.ts';
import { AppError } from '#shared/protocol/errors.ts';

export interface FoundWheel {
  url: URL;
  /** As the index tells it, or null. */
  sha256: string | null;
}

const MAX_PAGE_BYTES = 64 * 1024 * 1024;
const JSON_PAGE = 'application/vnd.pypi.simple.v1+json';
const ATTEMPTS = 3;

/**
 * Where a Python package index has a wheel. Sources: https://peps.python.org/pep-0503/ (HTML) and https://peps.python.org/pep-0691/ (JSON).
 * Throws `download_failed` where the index does not answer or has no such file, `download_refused`, or the signal's reason.
 */
export async function findWheel(server: Pick<HubClient, 'get'>, index: URL, project: string, name: string, signal: AbortSignal): Promise<FoundWheel> {
  const page = new URL(`${index.pathname.replace(/\/$/, '')}/${project}/`, index);
  const { text, type, url } = await readPage(server, page, signal);
  const found = type.includes('json') ? inJson(text, name, index) : inHtml(text, name);
  if (found === null) throw new AppError('download_failed', `The index ${index.host} has no ${name} for ${project}; another index may.`, {});
  if (!URL.canParse(found.href, url.href)) throw new AppError('download_failed', `The index ${index.host} names no address for ${name}.`, {});
  return { url: new URL(found.href, url), sha256: found.sha256 };
}

interface Link {
  href: string;
  sha256: string | null;
}

function inJson(text: string, name: string, index: URL): Link | null {
  const page = parsed(text, index);
  const files: unknown[] = isRecord(page) && Array.isArray(page['files']) ? page['files'] : [];
  const file = files.find((candidate) => isRecord(candidate) && candidate['filename'] === name);
  if (!isRecord(file) || typeof file['url'] !== 'string') return null;
  const hashes = file['hashes'];
  return { href: file['url'], sha256: isRecord(hashes) && typeof hashes['sha256'] === 'string' ? hashes['sha256'].toLowerCase() : null };
}

function parsed(text: string, index: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('download_failed', `What the index ${index.host} calls JSON is none.`, {}, { cause });
  }
}

/** The link whose address ends with the file's name; its hash stands behind `#`. */
function inHtml(text: string, name: string): Link | null {
  for (const [, double, single] of text.matchAll(/<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)) {
    const [href = '', fragment = ''] = (double ?? single ?? '').replaceAll('&amp;', '&').split('#');
    const last = href.split('?')[0]?.split('/').at(-1) ?? '';
    if (last !== name && last !== encodeURIComponent(name)) continue;
    return { href, sha256: /(?:^|&)sha256=([0-9a-f]{64})/i.exec(fragment)?.[1]?.toLowerCase() ?? null };
  }
  return null;
}

async function readPage(server: Pick<HubClient, 'get'>, page: URL, signal: AbortSignal): Promise<{ text: string; type: string; url: URL }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await server.get(page, { accept: `${JSON_PAGE}, text/html;q=0.5` }, signal);
      if (answer.status === 200) return { text: await textOf(answer, page), type: answer.header('content-type') ?? '', url: answer.url };
      answer.discard();
      if (answer.status < 500 || attempt === ATTEMPTS)
        throw new AppError('download_failed', `The index answers HTTP ${answer.status} for ${page.href}; is its address right?`, {});
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof AppError) throw cause;
      if (cause instanceof Error && cause.cause instanceof AppError) throw cause.cause;
      if (attempt === ATTEMPTS)
        throw new AppError(
          'download_failed',
          `The index ${page.host} cannot be reached. Check its address and the network; HTTPS_PROXY names a proxy.`,
          {},
          { cause },
        );
    }
  }
}

async function textOf(answer: HubAnswer, page: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_PAGE_BYTES) {
      answer.discard();
      throw new AppError('download_failed', `The index's page ${page.href} is larger than ${MAX_PAGE_BYTES} bytes.`, {});
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
