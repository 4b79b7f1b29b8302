import interUrl from '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2?url';

/** A slower font replaces the system's font later. */
const PATIENCE_MS = 400;
/** Latin letters, punctuation and currency signs; the system's font has all others. */
const LATIN = 'U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+2000-206F,U+20AC,U+2122,U+2191,U+2193,U+2212,U+2215';

/** Loads the font before the page is drawn, so that no text changes its width afterwards. The page works without it. */
export async function loadFont(): Promise<void> {
  const font = new FontFace('Inter', `url(${interUrl})`, { weight: '100 900', unicodeRange: LATIN });
  document.fonts.add(font);
  const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_MS));
  // a font that cannot be loaded leaves the system's
  await Promise.race([font.load().catch(() => {}), patience]);
}
