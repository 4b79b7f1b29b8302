import type { DesktopBridge } from '#shared/protocol/desktop.ts';

/** What the desktop window can do beyond a browser; null in a browser. */
export function desktopBridge(): DesktopBridge | null {
  const page: Window & { studioDesktop?: DesktopBridge } = window;
  return page.studioDesktop ?? null;
}
