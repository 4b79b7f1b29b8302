/** The AppImage file that this program was started from, as its runtime says it; null where it is another kind of package. */
export function appImageFile(): string | null {
  return process.env['APPIMAGE'] ?? null;
}
