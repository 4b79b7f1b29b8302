/** Small pages that need no build: without script and style, so they fit the strict content policy. */

/** Goes on to `address`, a path of this server. */
export function forwardPage(address: string): string {
  return page('Welcome', `<p><a href="${escapeHtml(address)}">Continue</a></p>`, `<meta http-equiv="refresh" content="0; url=${escapeHtml(address)}">`);
}

/** Marks the second request for a page, which our own page makes. */
export const RETRY_MARK = 'signin';

export function acceptsHtml(request: { headers: { accept?: string | undefined } }): boolean {
  return request.headers.accept?.includes('text/html') === true;
}

/**
 * For a person without the key: a form that opens the page with it. A strict cookie is not sent with a link on another site, so the page is asked for
 * once more from here.
 * @param url Of the request, with its query.
 */
export function signInPage(url: string): string {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const again = searchParams.has(RETRY_MARK) ? '' : `<meta http-equiv="refresh" content="0; url=${escapeHtml(pathname)}?${RETRY_MARK}=">`;
  return page(
    'Access key',
    `<h1>Access key</h1>
<p>This server needs its access key. It printed the key when it started.</p>
<form action="${escapeHtml(pathname)}" method="get"><label>Key <input name="token" autocomplete="off" autofocus></label> <button>Open</button></form>`,
    again,
  );
}

/** Instead of the window, if it was not built. */
export function noWindowPage(): string {
  return page(
    'Z-Image-Turbo Studio',
    '<h1>Z-Image-Turbo Studio</h1>\n<p>The server is running, but its window was not built. See <a href="/docs">the API page</a>.</p>',
  );
}

/** A whole HTML page. `title` is text, `body` and `head` are HTML. */
export function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>${escapeHtml(title)}</title>${head}</head>
<body>
${body}
</body>
</html>
`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}
