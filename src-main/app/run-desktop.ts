import { join } from 'node:path';
import { app, dialog, session, shell } from 'electron';
import { launchArguments } from '#main/config/launch-arguments.ts';
import { programDir, resourcesDir } from '#main/lib/program-files.ts';
import type { HostedStudio, HostedStudioChoices } from '#main/studio/hosted-studio.ts';
import type { UpdateState } from '#shared/protocol/desktop.ts';
import { watchActivity } from './activity.ts';
import { registerBridge } from './bridge.ts';
import { createDesktopSettings } from './desktop-settings.ts';
import { collectHandedOver } from './handed-over.ts';
import { createHostedUpdates, installAtTheEnd } from './hosted-updates.ts';
import { LINK_SCHEME, readLaunchRequest } from './launch-request.ts';
import { HIDDEN_ARGUMENT, setStartAtLogin } from './login-item.ts';
import { createMainWindow, type MainWindow } from './main-window.ts';
import { setMenu } from './menu.ts';
import { notifyEnded } from './notify.ts';
import { guardContents, guardSession } from './page-guard.ts';
import { registerQuit } from './quit.ts';
import { relaunch } from './relaunch.ts';
import { createSleepBlocker } from './sleep-blocker.ts';
import { reportStrayErrors } from './stray-errors.ts';
import { type Texts, textsFor } from './texts.ts';
import { createTray } from './tray.ts';

const iconPath = join(resourcesDir, 'icons/icon.png');
const trayIconPath = join(resourcesDir, 'icons/tray.png');
const TRAY_IMAGES = 5;

/**
 * Runs the desktop app until it quits. `openStudio` starts the server in this process, or attaches to one that already runs.
 * Returns at once: Electron becomes ready only after the main module has been read to its end, so that module must not wait.
 */
export function runDesktop(openStudio: (choices: HostedStudioChoices) => Promise<HostedStudio>): void {
  run(openStudio).catch((error: unknown) => {
    const sentence = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${sentence}\n`);
    dialog.showErrorBox(textsFor(app.getLocale()).cannotStartTitle, sentence);
    app.exit(1);
  });
}

/** To standard error until there is a log. */
function reportToStandardError(error: unknown, text: string): void {
  process.stderr.write(`${text}: ${error instanceof Error ? error.stack : String(error)}\n`);
}

async function run(openStudio: (choices: HostedStudioChoices) => Promise<HostedStudio>): Promise<void> {
  let report = reportToStandardError;
  reportStrayErrors((error, text) => report(error, text), process, [process.stdout, process.stderr]);
  const argv = launchArguments();
  if (!app.requestSingleInstanceLock({ argv })) {
    // the running instance gets `second-instance` with the arguments
    app.quit();
    return;
  }
  // the id of the packages: Windows needs it for notifications, and build/installer.nsh for the uninstall
  app.setAppUserModelId('z-image-turbo-studio');
  app.setAsDefaultProtocolClient(LINK_SCHEME);
  const handedOver = collectHandedOver();
  await app.whenReady();

  const userData = app.getPath('userData');
  const settings = createDesktopSettings(join(userData, 'desktop.json'), { warn: (fields, text) => report(fields['cause'], text) });
  const texts = () => textsFor(settings.get().language ?? app.getLocale());

  const host = settings.get().reachableFromNetwork ? '0.0.0.0' : '127.0.0.1';
  const studio = await openStudio({ host, dataDir: join(userData, 'studio'), argv });
  report = (error, text) => studio.log.error({ err: error }, text);

  guardSession(session.defaultSession, studio.origin);
  guardContents(app, shell, () => studio.origin);

  const window = createMainWindow({
    preloadPath: join(programDir, 'out/preload/preload.cjs'),
    iconPath,
    stateFile: join(userData, 'window.json'),
    origin: studio.origin,
    keyCookie: studio.keyCookie,
    hidesOnClose: () => settings.get().closeToTray,
    onPageLost: (reload) => offerReload(texts(), reload).catch((thrown: unknown) => report(thrown, 'the question after a crash could not be shown')),
  });
  const updates = createHostedUpdates({
    channel: () => settings.get().updateChannel,
    isAutomatic: () => settings.get().checkForUpdates,
    onChange: (update) => {
      window.sendIfListening({ command: 'update', update });
      if (update.state !== 'downloading') refresh();
    },
    restart: () => quit.restart(),
    report,
  });
  const checkForUpdates = (): void => {
    sendAndShow(window, [{ command: 'go', screen: 'settings' }]);
    updates.check().catch((thrown: unknown) => report(thrown, 'the search for updates failed'));
  };
  registerBridge({ window, settings, updates, imageFile: studio.imageFile });

  const tray = createTray(trayIconPath, {
    open: window.show,
    showImage: (jobId) => showJob(window, jobId),
    setPaused: (isPaused) => {
      studio.setPaused(isPaused);
      refresh();
    },
    checkForUpdates,
    quit: () => app.quit(),
  });
  const keepAwake = createSleepBlocker();
  const activity = watchActivity(refresh, (job) => {
    if (settings.get().notifications && !window.isVisible()) notifyEnded(texts(), job, iconPath, () => showJob(window, job.jobId));
  });
  function refresh(): void {
    const now = activity.now();
    const isBusy = now.fraction !== null || (now.unfinished > 0 && !studio.isPaused());
    keepAwake(isBusy);
    updates.jobsChanged(isBusy);
    window.setProgress(now.unfinished > 0 ? (now.fraction ?? 0) : null);
    tray.update(texts(), {
      activity: now,
      isPaused: studio.isPaused(),
      images: studio.recentImages(TRAY_IMAGES),
      isAttached: studio.isAttached,
      offered: offeredVersion(updates.state()),
    });
  }
  const relabel = (): void => {
    setMenu(texts(), { send: (command) => sendAndShow(window, [command]), checkForUpdates, quit: () => app.quit() });
    refresh();
  };

  for (const jobId of studio.unfinishedJobs()) activity.receive({ type: 'job_status', job_id: jobId, status: 'pending' });
  studio.watchJobs(activity.receive);
  relabel();
  let atLogin = settings.get().startAtLogin;
  settings.onChange(async ({ startAtLogin }) => {
    relabel();
    if (startAtLogin === atLogin) return;
    await setStartAtLogin(startAtLogin);
    atLogin = startAtLogin;
  });

  const quit = registerQuit({
    texts,
    window,
    // the jobs of an attached server continue without this app
    unfinished: () => (studio.isAttached ? 0 : activity.now().unfinished),
    close: studio.close,
    install: (restart) => installAtTheEnd(updates, window, texts(), restart),
    report,
  });
  app.on('activate', window.show);
  studio.onEnd(() => offerToHost(texts()).catch((thrown: unknown) => report(thrown, 'the question after the end of the server could not be shown')));

  if (argv.includes(HIDDEN_ARGUMENT)) window.prepare();
  else window.show();
  for (const command of await readLaunchRequest(argv, process.cwd())) window.send(command);
  handedOver.open((commands) => sendAndShow(window, commands));
  if (studio.takenPort !== null) {
    const port = Number(new URL(studio.origin).port);
    await dialog.showMessageBox({ type: 'info', message: texts().portTakenTitle(studio.takenPort), detail: texts().portTakenDetail(studio.takenPort, port) });
  }
}

/** The page crashed again and again: the user decides whether to try once more. */
async function offerReload(texts: Texts, reload: () => void): Promise<void> {
  const { response } = await dialog.showMessageBox({
    type: 'error',
    message: texts.pageGoneTitle,
    detail: texts.pageGoneDetail,
    buttons: [texts.reload, texts.quit],
    defaultId: 0,
    cancelId: 0,
  });
  if (response === 0) reload();
  else app.quit();
}

/** The server of another process has ended, so the window is empty: the app can be started again with a server of its own. */
async function offerToHost(texts: Texts): Promise<void> {
  const { response } = await dialog.showMessageBox({
    type: 'question',
    message: texts.serverEndedTitle,
    detail: texts.serverEndedDetail,
    buttons: [texts.hostHere, texts.quit],
    defaultId: 0,
    cancelId: 1,
  });
  if (response === 0) relaunch();
  app.quit();
}

function sendAndShow(window: MainWindow, commands: readonly Parameters<MainWindow['send']>[0][]): void {
  window.show();
  for (const command of commands) window.send(command);
}

function showJob(window: MainWindow, jobId: string): void {
  sendAndShow(window, [{ command: 'show_job', jobId }]);
}

function offeredVersion(update: UpdateState): string | null {
  return 'version' in update ? update.version : null;
}
