import { type HttpClient, unreachable } from '#main/downloads/http-client.ts';
import { readText } from '#main/downloads/read-text.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { AppError } from '#shared/protocol/errors.ts';

export interface FoundWheel {
  url: URL;
  /** The hash in the index, or null. */
  sha256: string | null;
}

const MAX_PAGE_BYTES = 64 * 1024 * 1024;
const JSON_PAGE = 'application/vnd.pypi.simple.v1+json';
const ATTEMPTS = 3;

/**
 * Finds a wheel in a Python package index. Sources: https://peps.python.org/pep-0503/ (HTML) and https://peps.python.org/pep-0691/ (JSON).
 * Throws `download_failed` if the index cannot be reached or lacks the file, `download_refused`, or the signal's reason.
 */
export async function findWheel(http: Pick<HttpClient, 'get'>, index: URL, project: string, name: string, signal: AbortSignal): Promise<FoundWheel> {
  const page = new URL(`${index.pathname.replace(/\/$/, '')}/${project}/`, index);
  const { text, type, url } = await readPage(http, page, signal);
  const found = type.includes('json') ? inJson(text, name, index) : inHtml(text, name);
  if (found === null || !URL.canParse(found.href, url.href)) {
    throw new AppError('download_failed', `The index ${index.host} has no ${name} for ${project}. Choose another index with --index.`, {});
  }
  return { url: new URL(found.href, url), sha256: found.sha256 };
}

interface Link {
  href: string;
  sha256: string | null;
}

function inJson(text: string, name: string, index: URL): Link | null {
  const page = parseJson(text, index);
  const files: unknown[] = isRecord(page) && Array.isArray(page['files']) ? page['files'] : [];
  const file = files.find((candidate) => isRecord(candidate) && candidate['filename'] === name);
  if (!isRecord(file) || typeof file['url'] !== 'string') return null;
  const hashes = file['hashes'];
  return { href: file['url'], sha256: isRecord(hashes) && typeof hashes['sha256'] === 'string' ? hashes['sha256'].toLowerCase() : null };
}

function parseJson(text: string, index: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('download_failed', `The package index ${index.host} returned invalid JSON. Check its address.`, {}, { cause });
  }
}

/** The link whose address ends with the file name; the hash is in the fragment. */
function inHtml(text: string, name: string): Link | null {
  for (const [, double, single] of text.matchAll(/<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)) {
    const [href = '', fragment = ''] = (double ?? single ?? '').replaceAll('&amp;', '&').split('#');
    const last = href.split('?')[0]?.split('/').at(-1) ?? '';
    if (last !== name && last !== encodeURIComponent(name)) continue;
    return { href, sha256: /(?:^|&)sha256=([0-9a-f]{64})/i.exec(fragment)?.[1]?.toLowerCase() ?? null };
  }
  return null;
}

async function readPage(http: Pick<HttpClient, 'get'>, page: URL, signal: AbortSignal): Promise<{ text: string; type: string; url: URL }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await http.get(page, { accept: `${JSON_PAGE}, text/html;q=0.5` }, signal);
      if (response.status === 200) return { text: await readText(response, MAX_PAGE_BYTES), type: response.header('content-type') ?? '', url: response.url };
      response.discard();
      if (response.status < 500 || attempt === ATTEMPTS)
        throw new AppError('download_failed', `The index answers HTTP ${response.status} for ${page.href}. Check its address.`, {});
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof AppError || attempt === ATTEMPTS)
        throw unreachable(page, cause, 'Check the address of the index, and HTTPS_PROXY if you need a proxy');
    }
  }
}
