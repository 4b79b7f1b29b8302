import { writeFileSync } from 'node:fs';
import type { Rectangle } from 'electron';
import { z } from 'zod';
import { readRegularFile } from '#main/lib/read-regular-file.ts';

const rectangleSchema = z.object({ x: z.number(), y: z.number(), width: z.number().positive(), height: z.number().positive() });
const stateSchema = z.object({ bounds: rectangleSchema, maximized: z.boolean() });

/** The window's position, and whether it was maximized. */
export type WindowState = z.infer<typeof stateSchema>;

const PREFERRED = { width: 1280, height: 860 };
/** This much of the title bar must be on a screen, so that the mouse can catch the window. */
const GRIP_PX = 64;

/** One state per arrangement of screens: with the monitor unplugged and plugged in again the window is back in its place. */
export interface WindowStates {
  read(displays: readonly Rectangle[]): WindowState;
  write(displays: readonly Rectangle[], state: WindowState): void;
}

/** Keeps the states in a JSON file. What cannot be read in it, or not be written, is ignored: only the window's place is lost. */
export function createWindowStates(file: string): WindowStates {
  let states = load(file);
  return {
    read: (displays) => fitToDisplays(states[keyOf(displays)], displays),
    write: (displays, state) => {
      states = { ...states, [keyOf(displays)]: state };
      try {
        // synchronous, because the process may end right after the window
        writeFileSync(file, `${JSON.stringify(states)}\n`);
      } catch {
        // a full or read-only disk must not keep a window from closing
      }
    },
  };
}

/** `saved` if it can be reached on one of the screens' work areas, else the preferred size in the middle of the first screen. */
export function fitToDisplays(saved: WindowState | undefined, displays: readonly Rectangle[]): WindowState {
  if (saved && displays.some((display) => isWithinReach(saved.bounds, display))) return saved;
  const screen = displays[0] ?? { x: 0, y: 0, ...PREFERRED };
  const width = Math.min(PREFERRED.width, screen.width);
  const height = Math.min(PREFERRED.height, screen.height);
  const bounds = { x: screen.x + Math.floor((screen.width - width) / 2), y: screen.y + Math.floor((screen.height - height) / 2), width, height };
  return { bounds, maximized: saved?.maximized ?? false };
}

function isWithinReach(window: Rectangle, display: Rectangle): boolean {
  const overlap = Math.min(window.x + window.width, display.x + display.width) - Math.max(window.x, display.x);
  return overlap >= GRIP_PX && window.y >= display.y && window.y <= display.y + display.height - GRIP_PX;
}

function keyOf(displays: readonly Rectangle[]): string {
  return displays.map(({ x, y, width, height }) => `${x},${y},${width},${height}`).join(' ');
}

function load(file: string): Record<string, WindowState> {
  try {
    const stored: unknown = JSON.parse(readRegularFile(file).toString('utf8'));
    const entries = Object.entries(Object(stored)).map(([key, value]) => [key, stateSchema.safeParse(value).data] as const);
    return Object.fromEntries(entries.flatMap(([key, state]) => (state === undefined ? [] : [[key, state]])));
  } catch {
    return {};
  }
}
