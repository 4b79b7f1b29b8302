import { createHash } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EngineOptions, SupervisedEngine } from '#main/engine/create-engine.ts';
import type { EngineHooks, EnginePreview, EngineProgress, GenerateTask, TaskReport, UpscaleTask } from '#main/engine/engine.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import type { RecipeFacts } from '#shared/domain/recipe.ts';
import type { ErrorCode } from '#shared/protocol/errors.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** An implementation of the engine under test. */
export interface EngineUnderTest {
  create(options: Pick<EngineOptions, 'limits' | 'clock'>): SupervisedEngine;
  checkpointDir: string;
  checkpointIdentity: string;
  upscalerPath: string;
  upscalerIdentity: string;
}

const facts: RecipeFacts = {
  ...{ role: 'original', job_id: 'a'.repeat(64), task_type: 'text_to_image', created_at: 1.5, program: { name: 'p', version: '1' } },
  params: { prompt: '一只猫 🐈', width: 256, height: 320, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' },
  ...{ checkpoint: { name: 'c', identity: 'i' }, upscaler: { name: 'u', identity: 'j' } },
};
const STEPS = 4;
/** Enough steps that a kill at the second step always comes before the end. */
const MANY_STEPS = 30;

/** The events of one task. */
export interface Heard {
  progress: EngineProgress[];
  previews: EnginePreview[];
  /** How many progress messages had come when the model was done, once a call. */
  modelDone: number[];
}

/** Hooks that record their calls, and call `onEach` for every progress message. */
export function listen(onEach: (progress: EngineProgress) => void = () => {}): { heard: Heard; hooks: EngineHooks } {
  const heard: Heard = { progress: [], previews: [], modelDone: [] };
  return {
    heard,
    hooks: {
      onProgress(progress) {
        heard.progress.push(progress);
        onEach(progress);
      },
      onPreview(preview) {
        heard.previews.push(preview);
      },
      onModelDone: () => heard.modelDone.push(heard.progress.length),
    },
  };
}

/** The code with which a task is rejected. */
export async function codeOf(task: Promise<TaskReport>): Promise<ErrorCode> {
  try {
    await task;
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.code;
    throw thrown;
  }
  throw new Error('The task was not rejected.');
}

/** True while a process of this id runs. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A signal that is never aborted. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** What every engine must do, whatever runs the models. */
export function describeEngine(name: string, underTest: EngineUnderTest): void {
  describe(name, () => {
    let folder = '';
    const engines: SupervisedEngine[] = [];

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'engine-'));
    });
    afterEach(async () => {
      await Promise.all(engines.splice(0).map((engine) => engine.close()));
      rmSync(folder, { recursive: true });
    });

    const create = (options: Pick<EngineOptions, 'limits' | 'clock'> = {}) => {
      const engine = underTest.create(options);
      engines.push(engine);
      return engine;
    };
    const { checkpointDir, checkpointIdentity, upscalerPath, upscalerIdentity } = underTest;
    const generateTask = (outputPath = join(folder, 'a.png'), steps = STEPS): GenerateTask => ({
      params: { prompt: 'a cat', width: 256, height: 320, steps, guidance_scale: 0, seed: 7, model_type: 'uint4' },
      checkpointDir,
      checkpointIdentity,
      outputPath,
      provenance: { recipe: facts, isMarked: true },
    });
    const upscaleTask = (inputPath: string): UpscaleTask => ({
      inputPath,
      upscalerPath,
      upscalerIdentity,
      outputPath: join(folder, 'b.png'),
      provenance: { recipe: { ...facts, role: 'upscaled' }, isMarked: false },
    });

    test('an image: stages in order, each step reported, the model done before the file, the file complete with its texts', async () => {
      const engine = create();
      expect(engine.status().state).toBe('stopped');
      const { heard, hooks } = listen();
      const report = await engine.generate(generateTask(), hooks, never());

      const stages = heard.progress.map(({ stage }) => stage).filter((stage, i, all) => stage !== all[i - 1]);
      expect(stages).toEqual(['loading', 'encoding', 'generating', 'decoding', 'saving']);
      const steps = heard.progress.filter(({ stage }) => stage === 'generating');
      expect(steps.filter(({ done }) => done > 0)).toEqual(Array.from({ length: STEPS }, (_, i) => ({ stage: 'generating', done: i + 1, total: STEPS })));
      expect(heard.modelDone).toHaveLength(1);
      expect(heard.progress.slice(heard.modelDone[0]).every(({ stage }) => stage === 'saving')).toBe(true);

      expect(Object.keys(report.stagesMs).sort()).toEqual(['decoding', 'encoding', 'generating', 'loading', 'saving']);
      expect([report.width, report.height, report.device]).toEqual([256, 320, 'cpu']);
      const image = await decodePng(join(folder, 'a.png'));
      expect([image.width, image.height]).toEqual([256, 320]);
      expect(readPngTexts(readFileSync(join(folder, 'a.png'))).map(({ keyword }) => keyword)).toEqual(['XML:com.adobe.xmp', 'parameters', 'zimage-recipe']);
      const sha256 = createHash('sha256').update(image.data).digest('hex');
      expect(await readRecipe(join(folder, 'a.png'))).toMatchObject({ ...facts, pixels: { width: 256, height: 320, sha256 }, original_sha256: null });
      expect(report.pixelsSha256).toBe(sha256);
      expect(engine.status()).toMatchObject({ state: 'ready', restarts: 0 });
    });

    test('previews in the shape of the image if requested, none otherwise', async () => {
      const engine = create();
      const { heard, hooks } = listen();
      await engine.generate(generateTask(), hooks, never());
      expect(heard.previews.length).toBeGreaterThan(0);
      for (const { step, width, height, rgb } of heard.previews) {
        expect(step).toBeGreaterThanOrEqual(1);
        expect(step).toBeLessThanOrEqual(STEPS);
        expect(width / height).toBe(256 / 320);
        expect(rgb).toHaveLength(width * height * 3);
      }
      const told = heard.previews.length;
      await engine.generate(generateTask(), { onProgress: hooks.onProgress, onModelDone: hooks.onModelDone }, never());
      expect(heard.previews).toHaveLength(told);
    });

    test('the same seed gives the same image, and nothing is loaded twice', async () => {
      const engine = create();
      await engine.generate(generateTask(), listen().hooks, never());
      const { heard, hooks } = listen();
      await engine.generate(generateTask(join(folder, 'again.png')), hooks, never());
      expect(readFileSync(join(folder, 'again.png'))).toEqual(readFileSync(join(folder, 'a.png')));
      expect(heard.progress.some(({ stage }) => stage === 'loading')).toBe(false);
    });

    test('four times the size, with the texts inside', async () => {
      const engine = create();
      await engine.generate(generateTask(), listen().hooks, never());
      const { heard, hooks } = listen();
      const report = await engine.upscale(upscaleTask(join(folder, 'a.png')), hooks, never());
      expect([report.width, report.height]).toEqual([1024, 1280]);
      const last = heard.progress.filter(({ stage }) => stage === 'upscaling').at(-1);
      expect(last?.done).toBe(last?.total);
      expect(heard.modelDone).toHaveLength(1);
      const image = await decodePng(join(folder, 'b.png'));
      expect([image.width, image.height]).toEqual([1024, 1280]);
      expect(readPngTexts(readFileSync(join(folder, 'b.png'))).map(({ keyword }) => keyword)).toEqual(['parameters', 'zimage-recipe']);
      const original = await readRecipe(join(folder, 'a.png'));
      expect(await readRecipe(join(folder, 'b.png'))).toMatchObject({ role: 'upscaled', original_sha256: original?.pixels?.sha256 });
    });

    test('the device runs one task at a time, in their order', async () => {
      const engine = create();
      const order: string[] = [];
      const watched = (label: string) => {
        const { heard, hooks } = listen(({ stage }) => stage === 'generating' && order.push(label));
        return { heard, hooks: { ...hooks, onModelDone: () => order.push(`${label} done`) } };
      };
      const first = watched('first');
      const second = watched('second');
      await Promise.all([
        engine.generate(generateTask(), first.hooks, never()),
        engine.generate(generateTask(join(folder, 'second.png')), second.hooks, never()),
      ]);
      expect(order.filter((label, i) => label !== order[i - 1])).toEqual(['first', 'first done', 'second', 'second done']);
    });

    test.for(['loading', 'encoding', 'generating', 'decoding', 'saving'] as const)('a cancel while %s', async (stage) => {
      const engine = create();
      const controller = new AbortController();
      const { hooks } = listen((progress) => progress.stage === stage && controller.abort());
      expect(await codeOf(engine.generate(generateTask(), hooks, controller.signal))).toBe('cancelled');
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      await engine.generate(generateTask(), listen().hooks, never());
      expect(engine.status().restarts).toBe(0);
    });

    test('a cancel while upscaling', async () => {
      const engine = create();
      await engine.generate(generateTask(), listen().hooks, never());
      const controller = new AbortController();
      const { heard, hooks } = listen(({ stage }) => stage === 'upscaling' && controller.abort());
      expect(await codeOf(engine.upscale(upscaleTask(join(folder, 'a.png')), hooks, controller.signal))).toBe('cancelled');
      expect(heard.progress.filter(({ stage }) => stage === 'upscaling')).toHaveLength(1);
    });

    test('a cancel before the start and while waiting behind another task', async () => {
      const engine = create();
      expect(await codeOf(engine.generate(generateTask(), listen().hooks, AbortSignal.abort()))).toBe('cancelled');
      const controller = new AbortController();
      const first = engine.generate(generateTask(), listen(() => controller.abort()).hooks, never());
      const { heard, hooks } = listen();
      expect(await codeOf(engine.generate(generateTask(join(folder, 'second.png')), hooks, controller.signal))).toBe('cancelled');
      expect(heard.progress).toEqual([]);
      await first;
    });

    test('the process is killed in the middle: the task runs again and its client notices nothing', async () => {
      const engine = create();
      let killed = 0;
      const { heard, hooks } = listen(({ stage, done }) => {
        if (stage !== 'generating' || done !== 2 || killed !== 0) return;
        killed = engine.pid() ?? 0;
        process.kill(killed, 'SIGKILL');
      });
      await engine.generate(generateTask(undefined, MANY_STEPS), hooks, never());
      expect(killed).toBeGreaterThan(0);
      expect(engine.pid()).not.toBe(killed);
      expect(engine.status()).toMatchObject({ state: 'ready', restarts: 1 });
      expect(heard.modelDone).toHaveLength(1);
      expect(heard.progress.filter(({ stage, done }) => stage === 'generating' && done === 1)).toHaveLength(2);
      await expect(decodePng(join(folder, 'a.png'))).resolves.toMatchObject({ width: 256, height: 320 });
    });

    test('killed after the model work: the image arrives, and the model is done only once', async () => {
      const engine = create();
      let pid: number | null = null;
      const { heard, hooks } = listen();
      const onModelDone = () => {
        hooks.onModelDone();
        pid ??= engine.pid();
        if (pid !== null && engine.pid() === pid) process.kill(pid, 'SIGKILL');
      };
      await engine.generate(generateTask(), { ...hooks, onModelDone }, never());
      expect(heard.modelDone).toHaveLength(1);
      await expect(decodePng(join(folder, 'a.png'))).resolves.toMatchObject({ width: 256, height: 320 });
    });

    test('killed twice: the task is rejected with a code, the next one runs', async () => {
      const engine = create();
      const { hooks } = listen(({ stage }) => {
        const pid = engine.pid();
        if (stage === 'generating' && pid !== null) process.kill(pid, 'SIGKILL');
      });
      // only a system out of memory kills like this
      expect(await codeOf(engine.generate(generateTask(undefined, MANY_STEPS), hooks, never()))).toBe('engine_out_of_memory');
      await engine.generate(generateTask(), listen().hooks, never());
      expect(engine.status().restarts).toBe(2);
    });

    test('closing while a task runs: it is rejected, no process is left, later tasks are refused', async () => {
      const engine = create();
      const controller = new AbortController();
      let pid: number | null = null;
      const closing: Promise<void>[] = [];
      const { hooks } = listen(() => {
        pid ??= engine.pid();
        closing.push(engine.close());
      });
      expect(await codeOf(engine.generate(generateTask(), hooks, controller.signal))).toBe('shutting_down');
      await Promise.all(closing);
      expect(pid !== null && isAlive(pid)).toBe(false);
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      expect(await codeOf(engine.generate(generateTask(), listen().hooks, never()))).toBe('shutting_down');
    });

    test('a file that cannot be written: the error code of the disk, and the engine continues', async () => {
      const engine = create();
      expect(await codeOf(engine.generate(generateTask(join(folder, 'missing', 'a.png')), listen().hooks, never()))).toBe('folder_not_writable');
      await engine.generate(generateTask(), listen().hooks, never());
      expect(engine.status().restarts).toBe(0);
    });

    test('an input that is not an image is refused, and the engine continues', async () => {
      const engine = create();
      expect(await codeOf(engine.upscale(upscaleTask(join(folder, 'missing.png')), listen().hooks, never()))).toBe('picture_damaged');
      await engine.generate(generateTask(), listen().hooks, never());
    });
  });
}
