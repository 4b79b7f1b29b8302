import './zod-without-eval.ts';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { z } from 'zod';
import { type ClientMessage, clientMessageSchema } from '#shared/protocol/messages.ts';
import { App } from './app.tsx';
import { clientId } from './client/client-id.ts';
import { desktopBridge } from './client/desktop.ts';
import { createStudioHttp } from './client/http.ts';
import { createStudioSocket, type StudioSocket, type Wire, type WireEvents } from './client/socket.ts';
import { stopComposingKeys } from './client/stop-composing-keys.ts';
import { browserStorage, readStored, writeStored } from './client/stored.ts';
import { StudioContext } from './components/use-studio.ts';
import { startI18n } from './i18n/i18n.ts';
import { PROMPTS_KEY } from './store/draft-slice.ts';
import { savedKeys } from './store/saved-slice.ts';
import { shownLanguage } from './store/settings.ts';
import { createStudioStore } from './store/studio-store.ts';
import { SETTINGS_KEY } from './store/view-slice.ts';
import './theme/theme.css';
import { loadFont } from './theme/load-font.ts';

const UNANSWERED_KEY = 'zimage.unanswered';

const storage = browserStorage('localStorage');
const windowStorage = browserStorage('sessionStorage');
const desktop = desktopBridge();
const browserId = clientId(storage);
const address = new URL(`/api/ws?client_id=${browserId}`, window.location.href.replace(/^http/, 'ws'));

let socket: StudioSocket | null = null;
const store = createStudioStore({
  send: (message) => socket?.send(message),
  withdraw: (requestId) => socket?.withdraw(requestId),
  http: createStudioHttp((...request) => fetch(...request)),
  storage,
  windowStorage,
  desktop,
  clientId: browserId,
  windowId: `w${randomInteger().toString(36)}`,
  randomSeed: randomInteger,
  now: Date.now,
  pause: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
});
const { runCommand, receive, connectionChanged, foundOutdated, reloadSettings, reloadPrompts, reloadSaved, settings } = store.getState();

startI18n(shownLanguage(settings.language, navigator.languages));
socket = createStudioSocket({
  unanswered: readStored<ClientMessage[]>(windowStorage, UNANSWERED_KEY, z.array(clientMessageSchema), []),
  keepUnanswered: (messages) => void writeStored(windowStorage, UNANSWERED_KEY, messages),
  open: openSocket,
  onMessage: receive,
  onConnection: connectionChanged,
  onUnreadable: foundOutdated,
  now: Date.now,
  schedule(action, delayMs) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
});
stopComposingKeys(window);
desktop?.onCommand(runCommand);
window.addEventListener('online', () => socket.retryNow());
window.addEventListener('storage', (event) => {
  if (event.key === SETTINGS_KEY) reloadSettings();
  if (event.key === PROMPTS_KEY) reloadPrompts();
  if (event.key !== null && savedKeys.has(event.key)) reloadSaved();
});

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element with the id "root"');
// a page over plain http has none, and a browser may refuse it, for example behind a certificate that it does not know: the window works without
if (desktop === null && 'serviceWorker' in navigator) navigator.serviceWorker.register('./service-worker.js').catch(() => {});
await loadFont();
createRoot(root).render(
  <StrictMode>
    <StudioContext.Provider value={store}>
      <App onRetry={() => socket.retryNow()} />
    </StudioContext.Provider>
  </StrictMode>,
);

function randomInteger(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

function openSocket({ onOpen, onFrame, onClose }: WireEvents): Wire {
  const wire = new WebSocket(address);
  wire.onopen = onOpen;
  wire.onmessage = (event) => onFrame(event.data);
  wire.onclose = onClose;
  return wire;
}
