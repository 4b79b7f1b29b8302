import type { DesktopBridge } from '#shared/protocol/desktop.ts';

/** The bridge to the desktop app's main process; null in a browser. */
export function desktopBridge(): DesktopBridge | null {
  const page: Window & { studioDesktop?: DesktopBridge } = window;
  return page.studioDesktop ?? null;
}
