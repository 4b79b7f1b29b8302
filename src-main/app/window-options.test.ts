import { expect, test } from 'vitest';
import { windowOptions } from './window-options.ts';

test('the page gets no right of Node and no way around the web platform’s own rules', () => {
  const { webPreferences, show } = windowOptions('/p.cjs', { x: 0, y: 0, width: 800, height: 600 }, '/icon.png', false);
  expect(webPreferences).toMatchObject({
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
  });
  expect(webPreferences).not.toHaveProperty('enableBlinkFeatures');
  expect(show).toBe(false);
});
