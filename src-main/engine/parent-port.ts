import type { RpcResponse } from '#main/lib/rpc.ts';

/** The process's end of the connection to the server. */
export interface ParentPort {
  send(message: RpcResponse): void;
  /** Messages as they come, not checked yet. */
  onMessage(listener: (message: unknown) => void): void;
  /** The parent is gone, perhaps killed, and will never read us again. */
  onGone(listener: () => void): void;
}

/** What `process.parentPort` is inside Electron's `utilityProcess`. */
interface UtilityPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown }) => void): void;
}

/** Finds the connection to the program that started this process. Throws if it was started by hand. */
export function openParentPort(): ParentPort {
  const utility: unknown = Reflect.get(process, 'parentPort');
  if (isUtilityPort(utility)) {
    return {
      send: (message) => utility.postMessage(message),
      onMessage: (listener) => utility.on('message', (event) => listener(event.data)),
      // Chromium ends its utility processes together with the browser process
      onGone: () => {},
    };
  }
  if (process.send === undefined) throw new Error("The engine's worker is started by the program itself; it cannot be run by hand.");
  return {
    send: (message) => {
      if (process.connected) process.send?.(message);
    },
    onMessage: (listener) => process.on('message', listener),
    onGone: (listener) => process.once('disconnect', listener),
  };
}

function isUtilityPort(value: unknown): value is UtilityPort {
  return typeof value === 'object' && value !== null && 'postMessage' in value && 'on' in value;
}
