import type { App, Session, Shell } from 'electron';

/** True for a URL of the page that our own server serves. */
export function isOwnPage(url: string, origin: string): boolean {
  return URL.canParse(url) && new URL(url).origin === origin;
}

/** Pages of our server that are made for a browser. */
const pagesForBrowsers: ReadonlySet<string> = new Set(['/docs', '/docs/websocket']);

/** Links that may open in the system's browser: https with a host and without a password, and the documentation of our own server. */
export function isExternalLink(url: string, origin: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password, pathname } = new URL(url);
  if (username !== '' || password !== '') return false;
  return (protocol === 'https:' && hostname !== '') || (isOwnPage(url, origin) && pagesForBrowsers.has(pathname));
}

/** Permissions that the page needs; it asks for no others. */
const grantedPermissions: ReadonlySet<string> = new Set(['clipboard-sanitized-write', 'fullscreen']);

/** Denies every permission and device, except for the few that our own page needs. */
export function guardSession(session: Session, origin: string): void {
  session.setPermissionRequestHandler((_contents, permission, callback, details) => {
    callback(grantedPermissions.has(permission) && isOwnPage(details.requestingUrl, origin));
  });
  session.setPermissionCheckHandler((_contents, permission, requestingOrigin) => grantedPermissions.has(permission) && isOwnPage(requestingOrigin, origin));
  session.setDevicePermissionHandler(() => false);
  session.setSpellCheckerEnabled(false);
}

/** No page of this program navigates away, opens a second window or a webview; external links open in the system's browser. */
export function guardContents(app: App, shell: Shell, origin: () => string): void {
  app.on('web-contents-created', (_event, contents) => {
    contents.on('will-attach-webview', (event) => event.preventDefault());
    const stay = (event: { preventDefault(): void; url: string }): void => {
      if (isOwnPage(event.url, origin())) return;
      event.preventDefault();
      openOutside(shell, event.url, origin());
    };
    contents.on('will-navigate', stay);
    contents.on('will-redirect', stay);
    contents.on('will-frame-navigate', stay);
    contents.setWindowOpenHandler(({ url }) => {
      openOutside(shell, url, origin());
      return { action: 'deny' };
    });
  });
}

function openOutside(shell: Shell, url: string, origin: string): void {
  if (!isExternalLink(url, origin)) return;
  shell.openExternal(url).catch(() => {
    // no browser is installed, so the link does not open
  });
}
