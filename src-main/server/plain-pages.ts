/** Small pages that stand without the window's build: no script, no style of their own, so the strict content policy holds. */

/** Goes on to `address`, a path of our own. */
export function forwardPage(address: string): string {
  return page('Welcome', `<p><a href="${escapeHtml(address)}">Go on</a></p>`, `<meta http-equiv="refresh" content="0; url=${escapeHtml(address)}">`);
}

/** For a person on another machine without the key: a form that opens `/?token=…`. */
export function signInPage(): string {
  return page(
    'Access key',
    `<h1>Access key</h1>
<p>This server runs on another machine. Enter the access key that it printed at its start.</p>
<form action="/" method="get"><label>Key <input name="token" autocomplete="off" autofocus></label> <button>Open</button></form>`,
  );
}

/** Where the window was not built. */
export function noWindowPage(): string {
  return page(
    'Z-Image-Turbo Studio',
    '<h1>Z-Image-Turbo Studio</h1>\n<p>The server runs; its window was not built. <a href="/docs">The API page</a> tells how to use it.</p>',
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
