import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type FetchCounts, noFetchCounts } from '#main/downloads/fetch-file.ts';
import type { HttpClient } from '#main/downloads/http-client.ts';
import { createThrottle, type Pause } from '#main/downloads/throttle.ts';
import { beginTransfer, progressOf, TOLD_EVERY_MS, type Transfer } from '#main/downloads/transfer.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { diskError } from '#main/lib/write-file.ts';
import type { CudaPackAction, CudaPackEntry, CudaPackOrder } from '#shared/domain/cuda-pack.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import type { CudaPack } from './cuda-pack.ts';
import { fetchedBytes, installPack, nameOfSource, type PackSource, readJournal } from './install-pack.ts';
import { cudaLicences } from './licences.ts';
import { assertHashes, condemnPack, draftDirOf, listPacks, packBytes, packsDirOf, readPack, removePack } from './pack-folder.ts';
import type { PackPlan } from './pack-plan.ts';
import { assertProviderVersion } from './provider-version.ts';

export interface PackInstallerOptions {
  dataDir: string;
  /** Null where this system can have none. */
  plan: PackPlan | null;
  /** The version of ONNX Runtime that the program runs on. */
  onnxruntime: string;
  /** The library of onnxruntime-node that goes into the pack. */
  libraryPath: string;
  source: PackSource;
  http: Pick<HttpClient, 'get'>;
  /** As fast as downloads may go; null without a limit. */
  bytesPerSecond: () => number | null;
  /** Whether a running process has the libraries loaded. */
  isInUse: () => boolean;
  freeBytes?: (dir: string) => Promise<number>;
  pause?: Pause;
  log: { warn(data: object, message: string): void };
}

type Work = Transfer<'downloading' | 'unpacking' | 'verifying'>;

/** The CUDA pack of a data folder. Closing does not close `http`. */
export function createPackInstaller(options: PackInstallerOptions): CudaPack & { counts: Readonly<FetchCounts> } {
  const { dataDir, plan, onnxruntime, source, isInUse, log } = options;
  const packsDir = packsDirOf(dataDir);
  const counts = noFetchCounts();
  const listeners = new Set<(pack: CudaPackEntry) => void>();
  let work: Work | null = null;
  /** Why the last installation stopped. */
  let failure: AppError | null = null;
  /** Begins above every one that an earlier process gave out. */
  let revision = Date.now();

  async function entry(): Promise<CudaPackEntry> {
    const others = listPacks(packsDir)
      .filter(({ manifest }) => manifest.version !== plan?.version)
      .map(({ manifest }) => ({ version: manifest.version, onnxruntime: manifest.onnxruntime, size_bytes: packBytes(manifest) }));
    const blank: CudaPackEntry = {
      state: 'absent',
      version: plan?.version ?? '',
      onnxruntime,
      source: nameOfSource(source),
      path: null,
      bytes_done: 0,
      bytes_total: plan?.archives.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0) ?? 0,
      bytes_per_second: null,
      seconds_left: null,
      installed_bytes: plan?.installedBytes ?? 0,
      error: null,
      revision,
      licences: [...cudaLicences],
      others,
    };
    const obstacle = obstacleOf();
    if (plan === null || obstacle !== null) return { ...blank, state: 'unsupported', error: told(obstacle ?? unsupported()) };
    if (work !== null) {
      const path = work.state === 'verifying' ? join(packsDir, plan.version) : blank.path;
      return { ...blank, ...progressOf(work), bytes_total: work.total === 0 ? blank.bytes_total : work.total, path };
    }
    const journal = await readJournal(packsDir, plan);
    const bytes_done = journal === null ? 0 : await fetchedBytes(packsDir, plan, journal);
    if (failure !== null) return { ...blank, state: 'failed', error: told(failure), bytes_done };
    try {
      const manifest = readPack(join(packsDir, plan.version));
      if (manifest !== null)
        return { ...blank, state: 'installed', path: join(packsDir, plan.version), installed_bytes: packBytes(manifest), bytes_done: blank.bytes_total };
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      return { ...blank, state: 'damaged', path: join(packsDir, plan.version), error: told(thrown), bytes_done };
    }
    return { ...blank, state: journal === null ? 'absent' : 'paused', bytes_done };
  }

  function obstacleOf(): AppError | null {
    if (plan === null) return unsupported();
    if (plan.onnxruntime === onnxruntime) return null;
    return new AppError('cuda_pack_unsupported', `The pack that this program knows is for ONNX Runtime ${plan.onnxruntime}; it runs on ${onnxruntime}.`, {});
  }

  async function act(action: CudaPackAction, order: CudaPackOrder): Promise<CudaPackEntry> {
    const now = await entry();
    if (action === 'remove') await remove(order.version ?? now.version, now);
    else if (action === 'pause') await pause(now);
    else if (plan === null || now.state === 'unsupported') throw obstacleOf() ?? unsupported();
    else if (action === 'install') await install(plan, now, order.accept_licences);
    else verify(plan, now);
    return entry();
  }

  async function install(wanted: PackPlan, now: CudaPackEntry, hasAccepted: boolean): Promise<void> {
    if (work !== null || now.state === 'installed') return;
    const journal = await readJournal(packsDir, wanted);
    if (!hasAccepted && journal === null) throw notAccepted();
    await mkdir(packsDir, { recursive: true }).catch(async (cause: unknown) => {
      throw await diskError(cause, join(packsDir, wanted.version), 0);
    });
    const { libraryPath, http, bytesPerSecond, freeBytes, pause: waiting } = options;
    begin('downloading', async (doing) => {
      await installPack(
        {
          plan: wanted,
          packsDir,
          libraryPath,
          source,
          http,
          counts,
          throttle: createThrottle(bytesPerSecond(), waiting),
          signal: doing.abort.signal,
          onProgress: (state, done, total) => progress(doing, state, done, total),
          ...(freeBytes === undefined ? {} : { freeBytes }),
          ...(waiting === undefined ? {} : { pause: waiting }),
        },
        journal?.acceptedAt ?? new Date().toISOString(),
      );
    });
  }

  function verify(wanted: PackPlan, now: CudaPackEntry): void {
    const dir = join(packsDir, wanted.version);
    const manifest = now.state === 'installed' ? readPack(dir) : null;
    if (manifest === null) throw busy(now, 'only an installed pack can be verified');
    begin('verifying', async (doing) => {
      const total = packBytes(manifest);
      try {
        await assertHashes(dir, manifest, (done) => progress(doing, 'verifying', done, total), doing.abort.signal);
        await assertProviderVersion(join(dir, wanted.provider), wanted.onnxruntime);
      } catch (thrown) {
        if (!(thrown instanceof AppError) || thrown.code !== 'cuda_pack_damaged') throw thrown;
        await condemnPack(dir, thrown);
      }
    });
  }

  async function pause(now: CudaPackEntry): Promise<void> {
    if (work === null || work.state === 'verifying') throw busy(now, 'only a running installation can be paused');
    await stop();
  }

  async function remove(version: string, now: CudaPackEntry): Promise<void> {
    const isOwn = version === plan?.version;
    const isHere = version !== '' && (existsSync(join(packsDir, version)) || existsSync(draftDirOf(packsDir, version)));
    if (!isHere) throw busy(now, `there is no pack ${version} to remove`);
    if (isOwn && isInUse()) throw busy(now, 'the engine runs with it; choose the CPU as device and restart the server, then remove it');
    if (isOwn) await stop();
    await removePack(packsDir, version);
    await removePack(packsDir, `${version}.part`);
    if (isOwn) failure = null;
    tell();
  }

  function begin(state: Work['state'], task: (doing: Work) => Promise<void>): void {
    failure = null;
    const doing: Work = beginTransfer(state);
    work = doing;
    doing.ended = task(doing)
      .catch((thrown: unknown) => {
        if (doing.abort.signal.aborted) return;
        log.warn({ cause: errnoCode(thrown), err: thrown }, 'the CUDA pack could not be installed');
        failure = thrown instanceof AppError ? thrown : new AppError('internal', toWireError(thrown).message, {}, { cause: thrown });
      })
      .finally(() => {
        work = null;
        tell();
      });
    tell();
  }

  async function stop(): Promise<void> {
    const doing = work;
    doing?.abort.abort(new AppError('cancelled', 'The installation was stopped.', {}));
    await doing?.ended;
  }

  function progress(doing: Work, state: Work['state'], done: number, total: number): void {
    const isNew = doing.state !== state;
    Object.assign(doing, { state, done, total });
    doing.speed.count(done);
    if (isNew || performance.now() - doing.toldAt > TOLD_EVERY_MS) tell();
  }

  function tell(): void {
    revision++;
    if (work !== null) work.toldAt = performance.now();
    if (listeners.size === 0) return;
    entry().then(
      (pack) => {
        for (const listener of listeners) listener(pack);
      },
      (thrown: unknown) => log.warn({ err: thrown }, 'the state of the CUDA pack cannot be told'),
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
      await stop();
    },
  };
}

function told({ code, message }: AppError): CudaPackEntry['error'] {
  return { code, message };
}

function unsupported(): AppError {
  const system = `${process.platform} ${process.arch}`;
  return new AppError('cuda_pack_unsupported', `There is no CUDA pack for ${system}: ONNX Runtime has CUDA for Linux and Windows on x64.`, {});
}

function busy({ state }: CudaPackEntry, why: string): AppError {
  return new AppError('cuda_pack_busy', `The CUDA pack is ${state}: ${why}.`, { state });
}

function notAccepted(): AppError {
  const terms = cudaLicences.map(({ name, covers, url }) => `${name} (${covers}): ${url}`).join('; ');
  const message = `The CUDA pack is installed only by who agrees to its licences: ${terms}. Agree with "accept_licences": true, on the command line with --accept-licences.`;
  return new AppError('licence_not_accepted', message, { licences: cudaLicences.map(({ url }) => url) });
}
