import { runDesktop } from './app/run-desktop.ts';
import { hostStudio } from './host-studio.ts';

// The desktop app: the shell of app/ around the same studio that headless.ts serves.
runDesktop(hostStudio);
