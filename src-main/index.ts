import { runDesktop } from './app/run-desktop.ts';
import { openStudio } from './host-studio.ts';

// The desktop app: the shell of app/ around the same studio that headless.ts serves.
runDesktop(openStudio);
