import { createHash } from 'node:crypto';
import { accessSync, closeSync, constants, copyFileSync, createReadStream, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { app } from 'electron';
import { AppImageUpdater, type BaseUpdater, CancellationToken, DebUpdater, NsisUpdater, type ProgressInfo, RpmUpdater } from 'electron-updater';
import type { InstallOptions } from 'electron-updater/out/BaseUpdater.js';
import { appImageFile } from '#main/config/app-image.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import type { UpdateChannel } from '#shared/protocol/desktop.ts';
import { packageOf, signedFeed } from './update-feed.ts';
import { UpdateRefusal } from './update-refusal.ts';
import { guardUpdateSession, type UpdateSession } from './update-session.ts';
import type { UpdateSource } from './update-source.ts';
import type { PackageUpdater } from './updates.ts';

/** A download without a byte for this long has failed. */
const STALL_MS = 60_000;

interface Installer {
  updater: BaseUpdater;
  /** File extension of its packages. */
  extension: string;
  /** The file or folder that it must be able to write to; null if the system asks for permission. */
  replaces: string | null;
}

/** The updater for the package that runs, or null if the app cannot replace it. */
export function createPackageUpdater(source: UpdateSource, channel: () => UpdateChannel): PackageUpdater | null {
  const installer = installerOfThisPackage();
  if (installer === null) return null;
  const { updater, extension, replaces } = installer;
  const session = guardUpdateSession(updater.netSession, source.url);
  updater.logger = null;
  updater.autoDownload = false;
  // quit-sequence.ts installs, the same way for every package, after another check of the file
  updater.autoInstallOnAppQuit = false;
  updater.disableDifferentialDownload = true;
  updater.disableWebInstaller = true;
  updater.setFeedURL({ provider: 'custom', updateProvider: signedFeed({ source, fetchBytes: session.fetchBytes, channel, extension }) });

  let found: { sizeBytes: number; sha512: string } | null = null;
  let downloadedFile: string | null = null;

  return {
    installsAtQuit: replaces !== null,
    find: async () => {
      const result = await refusing(session, () => updater.checkForUpdates());
      if (result === null) return null;
      const { isUpdateAvailable, updateInfo } = result;
      if (!isUpdateAvailable) {
        refuseOlder(updater, updateInfo.version, channel());
        return null;
      }
      const { size = 0, sha512 } = packageOf(updateInfo, source.url, extension, process.arch).info;
      found = { sizeBytes: size, sha512 };
      return { version: updateInfo.version, notes: typeof updateInfo.releaseNotes === 'string' ? updateInfo.releaseNotes : '', sizeBytes: size };
    },
    download: async (onReceived, signal) => {
      if (found === null) throw new UpdateRefusal('no_package', extension);
      if (replaces !== null) assertWritable(replaces);
      session.expectBytes(found.sizeBytes);
      try {
        const [file] = await refusing(session, () => downloadWatched(updater, onReceived, signal));
        downloadedFile = file ?? null;
      } finally {
        session.expectBytes(null);
      }
    },
    install: async (restart) => {
      if (found === null || downloadedFile === null) throw new UpdateRefusal('not_installed', extension);
      // every program of this user could have changed the file since its download, and a deb is installed as root
      if ((await sha512Of(downloadedFile)) !== found.sha512) throw new UpdateRefusal('wrong_hash', basename(downloadedFile));
      let cause: Error | undefined;
      updater.once('error', (error) => {
        cause = error;
      });
      if (!updater.install(true, restart)) throw new UpdateRefusal('not_installed', cause?.message ?? extension, { cause });
    },
  };
}

function installerOfThisPackage(): Installer | null {
  if (!app.isPackaged) return null;
  const programFolder = dirname(process.execPath);
  if (process.platform === 'win32') {
    const isInstalled = existsSync(join(programFolder, `Uninstall ${app.getName()}.exe`));
    return isInstalled ? { updater: new NsisUpdater(), extension: 'exe', replaces: programFolder } : null;
  }
  if (process.platform !== 'linux') return null;
  const appImage = appImageFile();
  if (appImage !== null) return { updater: new InPlaceAppImageUpdater(appImage), extension: 'AppImage', replaces: dirname(appImage) };
  // an archive that was built together with a deb has its mark too; a package manager installs to /opt
  if (!programFolder.startsWith('/opt/')) return null;
  switch (packageType()) {
    case 'deb':
      return { updater: new DebUpdater(), extension: 'deb', replaces: null };
    case 'rpm':
      return { updater: new RpmUpdater(), extension: 'rpm', replaces: null };
    default:
      return null;
  }
}

/** electron-builder writes it next to `app.asar`. */
function packageType(): string | null {
  const file = join(process.resourcesPath, 'package-type');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/**
 * Replaces the AppImage with one rename and keeps its name: an interrupted installation leaves the old file, and shortcuts still work.
 * (electron-updater deletes the old file first, and names the new one after its version.)
 */
class InPlaceAppImageUpdater extends AppImageUpdater {
  readonly #appImage: string;

  constructor(appImage: string) {
    super();
    this.#appImage = appImage;
  }

  protected override doInstall({ isForceRunAfter }: InstallOptions): boolean {
    const { installerPath } = this;
    if (installerPath === null) return false;
    const fresh = `${this.#appImage}.new`;
    try {
      copyFileSync(installerPath, fresh);
      const handle = openSync(fresh, 'r+');
      fsyncSync(handle);
      closeSync(handle);
      renameSync(fresh, this.#appImage);
    } catch (error) {
      rmSync(fresh, { force: true });
      throw error;
    }
    if (isForceRunAfter) this.spawnLog(this.#appImage).catch((error: Error) => this.dispatchError(error));
    return true;
  }
}

/** Refuses an older version, except on the way back from previews. Throws `UpdateRefusal` `older_version`. */
function refuseOlder(updater: BaseUpdater, offered: string, channel: UpdateChannel): void {
  const { currentVersion } = updater;
  const comesBack = channel === 'latest' && currentVersion.prerelease.length > 0;
  if (currentVersion.compare(offered) > 0 && !comesBack) throw new UpdateRefusal('older_version', offered);
}

function assertWritable(path: string): void {
  try {
    accessSync(path, constants.W_OK);
  } catch (cause) {
    throw new UpdateRefusal('not_writable', path, { cause });
  }
}

/** @returns The downloaded files. */
async function downloadWatched(updater: BaseUpdater, onReceived: (bytes: number) => void, signal: AbortSignal): Promise<string[]> {
  const token = new CancellationToken();
  let isStalled = false;
  const watchdog = setTimeout(() => {
    isStalled = true;
    token.cancel();
  }, STALL_MS);
  const progress = ({ transferred }: ProgressInfo): void => {
    watchdog.refresh();
    onReceived(transferred);
  };
  const cancel = (): void => token.cancel();
  signal.addEventListener('abort', cancel);
  updater.on('download-progress', progress);
  try {
    return await updater.downloadUpdate(token);
  } catch (cause) {
    throw isStalled ? new UpdateRefusal('stalled', `${STALL_MS / 1000} s`, { cause }) : cause;
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener('abort', cancel);
    updater.off('download-progress', progress);
  }
}

/** Runs a call of electron-updater and converts its errors. */
async function refusing<T>(session: UpdateSession, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (thrown) {
    if (thrown instanceof UpdateRefusal) throw thrown;
    throw session.takeRefusal() ?? refusalOf(thrown);
  }
}

function refusalOf(thrown: unknown): UpdateRefusal {
  const message = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0] ?? '';
  switch (errnoCode(thrown)) {
    case 'ERR_CHECKSUM_MISMATCH':
      return new UpdateRefusal('wrong_hash', 'SHA-512', { cause: thrown });
    case 'ENOSPC':
    case 'EDQUOT':
      return new UpdateRefusal('disk_full', message, { cause: thrown });
    case 'EACCES':
    case 'EROFS':
      return new UpdateRefusal('not_writable', message, { cause: thrown });
    default:
      return new UpdateRefusal(/aborted|ERR_CONTENT_LENGTH_MISMATCH|ERR_CONNECTION/.test(message) ? 'cut_short' : 'unreachable', message, { cause: thrown });
  }
}

async function sha512Of(file: string): Promise<string> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(file), hash);
  return hash.digest('base64');
}
