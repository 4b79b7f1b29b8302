import type { EngineEvent } from './channel.ts';

/** The process's end of the channel. */
export interface ParentPort {
  send(event: EngineEvent): void;
  /** Messages as they come, not checked yet. */
  onMessage(listener: (message: unknown) => void): void;
  /** The parent is gone, killed perhaps, and nobody will ever read us again. */
  onGone(listener: () => void): void;
}

/** What `process.parentPort` is inside Electron's `utilityProcess`. */
interface UtilityPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown }) => void): void;
}

/** Finds the channel to whoever started this process. Throws where there is none. */
export function openParentPort(): ParentPort {
  const utility: unknown = Reflect.get(process, 'parentPort');
  if (isUtilityPort(utility)) {
    return {
      send: (event) => utility.postMessage(event),
      onMessage: (listener) => utility.on('message', (event) => listener(event.data)),
      // Chromium ends its utility processes together with the browser process
      onGone: () => {},
    };
  }
  if (process.send === undefined) throw new Error("The engine's worker is started by the program itself, through a channel; it cannot be run by hand.");
  return {
    send: (event) => {
      if (process.connected) process.send?.(event);
    },
    onMessage: (listener) => process.on('message', listener),
    onGone: (listener) => process.once('disconnect', listener),
  };
}

function isUtilityPort(value: unknown): value is UtilityPort {
  return typeof value === 'object' && value !== null && 'postMessage' in value && 'on' in value;
}
