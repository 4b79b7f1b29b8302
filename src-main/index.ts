import { runDesktop } from './app/run-desktop.ts';
import { spawnUtility } from './app/spawn-engine.ts';
import { openStudio } from './studio/host-studio.ts';

// The desktop app: the shell of app/ around the server that headless.ts runs too.
runDesktop((choices) => openStudio(choices, spawnUtility));
