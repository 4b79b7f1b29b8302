import { join } from 'node:path';
import type { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ElectronApplication, Page } from 'playwright-core';
import { DesktopUser, desktopMachine, pageOf } from '../tests/e2e/desktop-app.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { fillGallery } from './harness/large-gallery.ts';
import { publish } from './harness/results.ts';
import { figure, type Row, verdictOf } from './harness/row.ts';

const SAMPLES = 12;
const IMAGES = 3000;
const DELETED = 1000;
const THUMBNAILS = 600;
const JOBS = 10;
/** Requests that the window has under way at a time: as many as Chromium sends to one host. */
const AT_ONCE = 6;
const MUST_MS = 20;
const SHAPE = { width: 256, height: 256, steps: 4, guidance_scale: 0, model_type: 'uint4' as const };
const LOAD = { ...SHAPE, width: 512, height: 512, steps: 9 };

declare global {
  var eventLoopDelay: ReturnType<typeof monitorEventLoopDelay>;
}

/** How long the desktop app's main process, which also runs the server, does not get to its next event while jobs run and the gallery works. */
export async function measureMainThread(): Promise<void> {
  const machine = await desktopMachine();
  if (typeof machine === 'string') throw new Error(machine);
  const user = new DesktopUser(machine);
  try {
    const dataDir = join(user.folder, 'studio');
    const server = await HeadlessServer.start(dataDir);
    await server.make(Array.from({ length: SAMPLES }, (_, seed) => ({ ...SHAPE, seed, prompt: `a red fox in the snow, number ${seed}` })));
    await server.stop();
    await fillGallery(dataDir, join(dataDir, 'outputs'), IMAGES);

    const app = await user.start();
    const page = await pageOf(app);
    const jobs = await listJobs(page);
    await app.evaluate(() => {
      globalThis.eventLoopDelay = process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 });
      globalThis.eventLoopDelay.enable();
    });
    await page.evaluate(startJobs, { count: JOBS, params: LOAD });
    const deleted = jobs.slice(0, DELETED);
    const shown = jobs.slice(DELETED, DELETED + THUMBNAILS);
    const rows = [
      await delayDuring(app, `${JOBS} jobs running, progress shown`, () => page.waitForTimeout(10_000)),
      await delayDuring(app, `${THUMBNAILS} thumbnails shown for the first time`, () =>
        ask(
          page,
          shown.map(({ filename }) => ['GET', `/api/image/${filename}?w=256`]),
        ),
      ),
      await delayDuring(app, `${DELETED} images moved to the bin`, () =>
        ask(
          page,
          deleted.map(({ jobId }) => ['DELETE', `/api/jobs/${jobId}`]),
        ),
      ),
      await delayDuring(app, `${DELETED} images deleted permanently`, () => ask(page, [['DELETE', '/api/bin']])),
    ];
    await app.evaluate(({ app: electron }) => electron.exit());
    const versions = { Electron: machine.electron.version };
    await publish({ name: 'main-thread', what: "event-loop delay of the desktop app's main process", versions, rows });
    if (rows.some((row) => verdictOf(row) === 'missed')) process.exitCode = 1;
  } finally {
    await user.end();
    machine.display.close();
  }
}

async function delayDuring(app: ElectronApplication, label: string, work: () => Promise<void>): Promise<Row> {
  await app.evaluate(() => globalThis.eventLoopDelay.reset());
  await work();
  // of work that continues after its answer
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { p99, max } = await app.evaluate(() => ({ p99: globalThis.eventLoopDelay.percentile(99) / 1e6, max: globalThis.eventLoopDelay.max / 1e6 }));
  return { ...figure(`${label}: 99th percentile`, p99, 'ms', { most: MUST_MS }), note: `longest ${max.toFixed(0)} ms` };
}

function listJobs(page: Page): Promise<Array<{ jobId: string; filename: string }>> {
  return page.evaluate(async (count) => {
    const found: Array<{ jobId: string; filename: string }> = [];
    for (let before: number | null = null; found.length < count; ) {
      const query: string = before === null ? '' : `&before=${before}`;
      const answer: { jobs: Array<{ job_id: string; result: { filename: string } }>; next: number | null } = await (
        await fetch(`/api/jobs?status=completed&limit=500${query}`)
      ).json();
      found.push(...answer.jobs.map(({ job_id, result }) => ({ jobId: job_id, filename: encodeURIComponent(result.filename) })));
      before = answer.next;
      if (before === null) break;
    }
    return found;
  }, DELETED + THUMBNAILS);
}

/** In the page: orders the jobs as a window that also wants the previews. */
function startJobs({ count, params }: { count: number; params: Record<string, unknown> }): Promise<void> {
  const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/api/ws?client_id=bench`);
  return new Promise((running) => {
    socket.onmessage = ({ data }) => {
      const message: { type: string } = JSON.parse(data);
      if (message.type === 'job_progress') running();
    };
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: 'watch', all: true, previews: true }));
      for (let seed = 0; seed < count; seed++) {
        const job = { ...params, prompt: `a lighthouse at night, number ${seed}`, seed };
        socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: job }));
      }
    };
  });
}

async function ask(page: Page, requests: ReadonlyArray<readonly [method: string, path: string]>): Promise<void> {
  const failed = await page.evaluate(
    async ([all, atOnce]) => {
      const waiting = [...all];
      const statuses: number[] = [];
      const work = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const [method, path] = next;
          const response = await fetch(path, { method, cache: 'no-store' });
          await response.arrayBuffer();
          statuses.push(response.status);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, work));
      return statuses.filter((status) => status >= 300);
    },
    [requests, AT_ONCE] as const,
  );
  if (failed.length > 0) throw new Error(`${failed.length} requests failed, the first with HTTP ${failed[0]}`);
}
