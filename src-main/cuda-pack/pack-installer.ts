import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type FetchCounts, noFetchCounts } from '#main/downloads/fetch-file.ts';
import type { HttpClient } from '#main/downloads/http-client.ts';
import { type InstallState, next } from '#main/downloads/install-state.ts';
import { createKeyedMutex } from '#main/downloads/keyed-mutex.ts';
import { createThrottle, type Pause } from '#main/downloads/throttle.ts';
import { type Outcome, Transfer } from '#main/downloads/transfer.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import type { JsonFileLog } from '#main/lib/json-file.ts';
import type { CudaPackAction, CudaPackEntry, CudaPackOrder } from '#shared/domain/cuda-pack.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import type { CudaPack } from './cuda-pack.ts';
import { installPack, nameOfSource, type PackSource } from './install-pack.ts';
import { cudaLicences } from './licences.ts';
import { assertHashes, draftDirOf, listPacks, markPackDamaged, packBytes, packsDirOf, readPack, removePack } from './pack-folder.ts';
import type { PackPlan } from './pack-plan.ts';
import { fetchedBytes, openPackProgress } from './pack-progress.ts';
import { assertProviderVersion } from './provider-version.ts';

export interface PackInstallerOptions {
  dataDir: string;
  /** Null if this system cannot have a pack. */
  plan: PackPlan | null;
  /** The version of ONNX Runtime that the program runs on. */
  onnxruntime: string;
  /** The library of onnxruntime-node that goes into the pack. */
  libraryPath: string;
  source: PackSource;
  http: Pick<HttpClient, 'get'>;
  /** The limit of downloads, or null. */
  bytesPerSecond: () => number | null;
  /** Whether a running process has the libraries loaded. */
  isInUse: () => boolean;
  freeBytes?: (dir: string) => Promise<number>;
  pause?: Pause;
  log: JsonFileLog;
}

/** The CUDA pack of a data folder. Closing does not close `http`. */
export function createPackInstaller(options: PackInstallerOptions): CudaPack & { counts: Readonly<FetchCounts> } {
  const { dataDir, plan, onnxruntime, source, isInUse, log } = options;
  const packsDir = packsDirOf(dataDir);
  const counts = noFetchCounts();
  const listeners = new Set<(pack: CudaPackEntry) => void>();
  const mutex = createKeyedMutex();
  /** Work, or a failed installation; null means that the state is on the disk. */
  let state: InstallState | null = null;
  /** Larger than every revision of an earlier process. */
  let revision = Date.now();

  const exclusively = <T>(task: () => Promise<T>): Promise<T> => mutex('pack', task);

  function unsupportedReason(): AppError | null {
    if (plan === null) {
      const system = `${process.platform} ${process.arch}`;
      return new AppError('cuda_pack_unsupported', `There is no CUDA pack for ${system}: ONNX Runtime supports CUDA on Linux and Windows on x64.`, {});
    }
    if (plan.onnxruntime === onnxruntime) return null;
    return new AppError('cuda_pack_unsupported', `This program installs a CUDA pack for ONNX Runtime ${plan.onnxruntime}, but it runs on ${onnxruntime}.`, {});
  }

  function stateOf({ version }: PackPlan): { state: InstallState; error: AppError | null; bytes: number | null } {
    const dir = join(packsDir, version);
    if (state !== null) return { state, error: null, bytes: null };
    try {
      const manifest = readPack(dir);
      if (manifest !== null) return { state: { at: 'installed' }, error: null, bytes: packBytes(manifest) };
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.code === 'cuda_pack_damaged') return { state: { at: 'damaged' }, error: thrown, bytes: null };
      throw thrown;
    }
    return { state: { at: openPackProgress(packsDir, version, log).isBegun ? 'paused' : 'absent' }, error: null, bytes: null };
  }

  async function entry(): Promise<CudaPackEntry> {
    const others = listPacks(packsDir)
      .filter(({ manifest }) => manifest.version !== plan?.version)
      .map(({ manifest }) => ({ version: manifest.version, onnxruntime: manifest.onnxruntime, size_bytes: packBytes(manifest) }));
    const archiveBytes = plan?.archives.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0) ?? 0;
    const blank: CudaPackEntry = {
      state: 'absent',
      version: plan?.version ?? '',
      onnxruntime,
      source: nameOfSource(source),
      path: null,
      bytes_done: 0,
      bytes_total: archiveBytes,
      bytes_per_second: null,
      seconds_left: null,
      installed_bytes: plan?.installedBytes ?? 0,
      error: null,
      revision,
      licences: [...cudaLicences],
      others,
    };
    const reason = unsupportedReason();
    if (plan === null || reason !== null) return { ...blank, state: 'unsupported', error: wireError(reason) };
    const now = stateOf(plan);
    const { at } = now.state;
    const path = at === 'installed' || at === 'verifying' || at === 'damaged' ? join(packsDir, plan.version) : null;
    if ('transfer' in now.state) {
      const { transfer } = now.state;
      return { ...blank, state: now.state.at, path, ...transfer.toWire(), bytes_total: transfer.totalBytes || archiveBytes };
    }
    const bytes_done = at === 'installed' ? archiveBytes : fetchedBytes(packsDir, plan, openPackProgress(packsDir, plan.version, log));
    const error = now.state.at === 'failed' ? now.state.error : now.error;
    const shown = at === 'queued' ? 'downloading' : at;
    return { ...blank, state: shown, path, bytes_done, installed_bytes: now.bytes ?? blank.installed_bytes, error: wireError(error) };
  }

  async function act(action: CudaPackAction, order: CudaPackOrder): Promise<CudaPackEntry> {
    return exclusively(async () => {
      if (action === 'remove') await remove(order.version ?? plan?.version ?? '');
      else {
        const reason = unsupportedReason();
        if (plan === null || reason !== null) throw action === 'pause' ? busy('unsupported', refusals.pause) : reason;
        if (action === 'install') install(plan, order.accept_licences);
        else if (action === 'pause') await pause(plan);
        else verify(plan);
      }
      return entry();
    });
  }

  function install(wanted: PackPlan, hasAccepted: boolean): void {
    const now = stateOf(wanted).state;
    const queued = next(now, { type: 'install' });
    if (queued === null) throw busy(now.at, refusals.install);
    if (queued === now) return;
    const progress = openPackProgress(packsDir, wanted.version, log);
    if (!hasAccepted && !progress.isBegun) throw notAccepted();
    const { libraryPath, http, bytesPerSecond, freeBytes, pause: waiting } = options;
    const transfer = new Transfer(async (running) => {
      await installPack({
        plan: wanted,
        packsDir,
        progress,
        libraryPath,
        source,
        http,
        counts,
        throttle: createThrottle(bytesPerSecond(), waiting),
        signal: running.signal,
        onPhase(type) {
          if (state !== null) state = next(state, { type });
          tell();
        },
        onBytes: (done, total) => running.progress(done, total),
        ...(freeBytes === undefined ? {} : { freeBytes }),
        ...(waiting === undefined ? {} : { pause: waiting }),
      });
    }, tell);
    begin(next(queued, { type: 'start', transfer }), transfer);
  }

  function verify(wanted: PackPlan): void {
    const now = stateOf(wanted).state;
    const dir = join(packsDir, wanted.version);
    const manifest = now.at === 'installed' ? readPack(dir) : null;
    if (manifest === null) throw busy(now.at, refusals.verify);
    const transfer = new Transfer(async (running) => {
      try {
        await assertHashes(dir, manifest, (done) => running.progress(done, packBytes(manifest)), running.signal);
        await assertProviderVersion(join(dir, wanted.provider), wanted.onnxruntime);
      } catch (thrown) {
        if (!(thrown instanceof AppError) || thrown.code !== 'cuda_pack_damaged') throw thrown;
        await markPackDamaged(dir, thrown);
      }
    }, tell);
    begin(next(now, { type: 'verify', transfer }), transfer);
  }

  async function pause(wanted: PackPlan): Promise<void> {
    const now = stateOf(wanted).state;
    if (next(now, { type: 'pause' }) === null) throw busy(now.at, refusals.pause);
    await stop();
  }

  async function remove(version: string): Promise<void> {
    const isOwn = version === plan?.version;
    const at = isOwn && plan !== null ? stateOf(plan).state.at : 'absent';
    const isHere = version !== '' && (existsSync(join(packsDir, version)) || existsSync(draftDirOf(packsDir, version)));
    if (!isHere && at !== 'downloading') throw busy(at, `there is no pack ${version} to remove`);
    if (isOwn && isInUse()) throw busy(at, 'the engine uses it; choose the CPU as device and restart the server, then remove it');
    if (isOwn) await stop();
    await removePack(packsDir, version);
    await removePack(packsDir, `${version}.part`);
    tell();
  }

  function begin(begun: InstallState | null, transfer: Transfer): void {
    state = begun;
    tell();
    void transfer
      .run()
      .then((outcome) => exclusively(async () => settle(transfer, outcome)))
      .catch((error: unknown) => log.warn({ err: error }, 'the end of a task of the CUDA pack could not be recorded'));
  }

  /** Applies how `transfer` ended, unless a command has taken over meanwhile. */
  function settle(transfer: Transfer, outcome: Outcome): void {
    if (state === null || !('transfer' in state) || state.transfer !== transfer) return;
    if (outcome.type === 'failed') {
      log.warn({ cause: errnoCode(outcome.error), err: outcome.error }, 'the CUDA pack could not be installed');
      state = next(state, { type: 'fail', error: toWireError(outcome.error) });
    } else {
      state = null;
    }
    tell();
  }

  async function stop(): Promise<void> {
    const stopped = state;
    if (stopped !== null && 'transfer' in stopped) await stopped.transfer.stop();
    state = null;
  }

  function tell(): void {
    revision++;
    if (listeners.size === 0) return;
    entry().then(
      (pack) => {
        for (const listener of listeners) listener(pack);
      },
      (error: unknown) => log.warn({ err: error }, 'the state of the CUDA pack cannot be reported'),
    );
  }

  return {
    entry,
    act,
    counts,
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await exclusively(stop);
    },
  };
}

const refusals = {
  install: 'wait until the verification has ended',
  pause: 'only a running installation can be paused',
  verify: 'only an installed pack can be verified',
};

function wireError(error: Pick<AppError, 'code' | 'message'> | null): CudaPackEntry['error'] {
  return error === null ? null : { code: error.code, message: error.message };
}

function busy(state: string, why: string): AppError {
  return new AppError('cuda_pack_busy', `The CUDA pack is ${state}: ${why}.`, { state });
}

function notAccepted(): AppError {
  const terms = cudaLicences.map(({ name, covers, url }) => `${name} (${covers}): ${url}`).join('; ');
  const message = `Installing the CUDA pack requires that you accept its licences: ${terms}. Send "accept_licences": true, or add --accept-licences on the command line.`;
  return new AppError('licence_not_accepted', message, { licences: cudaLicences.map(({ url }) => url) });
}
