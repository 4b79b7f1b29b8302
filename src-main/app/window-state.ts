import { readFileSync, writeFileSync } from 'node:fs';
import type { Rectangle } from 'electron';
import { z } from 'zod';

const rectangleSchema = z.object({ x: z.number(), y: z.number(), width: z.number().positive(), height: z.number().positive() });
const stateSchema = z.object({ bounds: rectangleSchema, maximized: z.boolean() });

/** Where the window stood, and whether it filled its screen. */
export type WindowState = z.infer<typeof stateSchema>;

const PREFERRED = { width: 1280, height: 860 };
/** So much of the title bar must lie on a screen for the window to be caught with the mouse. */
const GRIP_PX = 64;

/** States by arrangement of screens, so that the laptop finds its place again when the monitor is plugged off and on. */
export interface WindowStates {
  read(displays: readonly Rectangle[]): WindowState;
  write(displays: readonly Rectangle[], state: WindowState): void;
}

/** Keeps the states in a JSON file; a missing or damaged file is an empty one, as nothing but comfort is lost. */
export function createWindowStates(file: string): WindowStates {
  let states = load(file);
  return {
    read: (displays) => fitToDisplays(states[keyOf(displays)], displays),
    write: (displays, state) => {
      states = { ...states, [keyOf(displays)]: state };
      writeFileSync(file, `${JSON.stringify(states)}\n`);
    },
  };
}

/** `saved` where it can be reached on one of the screens' work areas, else the preferred size in the middle of the first screen. */
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
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return {};
  }
  try {
    const parsed = z.record(z.string(), stateSchema).safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}
