import fsPromises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { EngineProgress } from '#main/engine/protocol.ts';
import type { RpcResponse } from '#main/lib/rpc.ts';
import { armTripwire, killNow } from './kill-order.ts';

/** The fake engine's process with a tripwire around its messages and files. Started by `server-preload.ts`. */

const STEPS = 4;

// read at start: an orphan gets another parent
const server = process.ppid;
const reach = armTripwire((victims) => {
  if (victims !== 'engine') killNow(server);
  if (victims !== 'server') killNow(process.pid);
});

const send = process.send?.bind(process);
process.send = (message: RpcResponse) => {
  // the call with the id 1 starts the process, and its result is not a report
  if (message.type === 'result' && message.id > 1) reach('engine:before-done');
  const isSent = send?.(message) ?? false;
  if (message.type === 'event' && message.name === 'progress') reachProgress(message.data as EngineProgress);
  return isSent;
};

function reachProgress({ stage, done }: EngineProgress): void {
  if (stage === 'loading') reach('engine:compiling');
  else if (stage === 'generating' && done === 1) reach('engine:first-step');
  else if (stage === 'generating' && done === STEPS) reach('engine:last-step');
  else if (stage === 'decoding') reach('engine:decoding');
  else if (stage === 'upscaling' && done === 2) reach('engine:upscaling');
}

const { open } = fsPromises;
Object.assign(fsPromises, {
  async open(path: string, flags: string): Promise<FileHandle> {
    const file = await open(path, flags);
    return path.endsWith('.part') ? watched(file) : file;
  },
});
syncBuiltinESMExports();

function watched(file: FileHandle): FileHandle {
  reach('engine:opened');
  const sync = file.sync.bind(file);
  return Object.assign(file, {
    async writeFile(bytes: Uint8Array): Promise<void> {
      const half = bytes.length >> 1;
      await file.write(bytes, 0, half);
      reach('engine:half-written');
      await file.write(bytes, half, bytes.length - half);
    },
    async sync(): Promise<void> {
      reach('engine:before-sync');
      await sync();
      reach('engine:after-sync');
    },
  });
}

await import('../fakes/fake-worker.ts');
