import { bindingInUse } from '#main/inference/ort.ts';
import { entryFile } from '#main/lib/program-files.ts';
import { openParentPort } from './parent-port.ts';
import { runWorker } from './run-worker.ts';
import { createThreadRunner } from './thread-runner.ts';

runWorker(openParentPort(), (config, onDeath) => createThreadRunner(entryFile('engine/model-thread.ts'), config, onDeath), bindingInUse);
