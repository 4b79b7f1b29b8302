import type { App, Session, Shell } from 'electron';

/** True for a URL of the page that our own server serves. */
export function isOwnPage(url: string, origin: string): boolean {
  return URL.canParse(url) && new URL(url).origin === origin;
}

/** The links that may leave for the system's browser: https, with a host, without a password in them. */
export function isExternalLink(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  return protocol === 'https:' && hostname !== '' && username === '' && password === '';
}

/** The permissions that the page works with; it asks for no others. */
const grantedPermissions: ReadonlySet<string> = new Set(['clipboard-sanitized-write', 'fullscreen']);

/** Denies every permission and device to everybody but the few that our own page needs. */
export function guardSession(session: Session, origin: string): void {
  session.setPermissionRequestHandler((_contents, permission, callback, details) => {
    callback(grantedPermissions.has(permission) && isOwnPage(details.requestingUrl, origin));
  });
  session.setPermissionCheckHandler((_contents, permission, requestingOrigin) => grantedPermissions.has(permission) && isOwnPage(requestingOrigin, origin));
  session.setDevicePermissionHandler(() => false);
  session.setSpellCheckerEnabled(false);
}

/** Keeps every page that this program ever shows at its place: no navigation away, no second window, no webview; https links go to the system's browser. */
export function guardContents(app: App, shell: Shell, origin: () => string): void {
  app.on('web-contents-created', (_event, contents) => {
    contents.on('will-attach-webview', (event) => event.preventDefault());
    const stay = (event: { preventDefault(): void; url: string }): void => {
      if (isOwnPage(event.url, origin())) return;
      event.preventDefault();
      openOutside(shell, event.url);
    };
    contents.on('will-navigate', stay);
    contents.on('will-redirect', stay);
    contents.on('will-frame-navigate', stay);
    contents.setWindowOpenHandler(({ url }) => {
      openOutside(shell, url);
      return { action: 'deny' };
    });
  });
}

function openOutside(shell: Shell, url: string): void {
  if (!isExternalLink(url)) return;
  shell.openExternal(url).catch(() => {
    // no browser is set up; the link simply does not open, as elsewhere on such a system
  });
}
