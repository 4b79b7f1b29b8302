import { StartPanel } from '../edit/start-panel.tsx';
import { DemoBanner } from './demo-banner.tsx';
import { Options } from './options.tsx';
import { PromptBox } from './prompt-box.tsx';
import { QueuePanel } from './queue-panel.tsx';
import { Stage } from './stage.tsx';

/** Form, stage and queue side by side, or stacked on narrow screens. */
export function MakeScreen() {
  return (
    <div className="flex min-h-full flex-col wide:h-full">
      <DemoBanner />
      <div className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] gap-4 p-4 wide:grid-cols-[22rem_minmax(0,1fr)] wide:grid-rows-[minmax(0,1fr)_auto] wide:gap-0 wide:p-0 full:grid-cols-[22rem_minmax(0,1fr)_19rem] full:grid-rows-1">
        <div className="contents wide:row-span-2 wide:flex wide:min-h-0 wide:flex-col wide:gap-5 wide:overflow-y-auto wide:border-r wide:border-line wide:bg-surface wide:p-5 full:row-span-1">
          <PromptBox />
          <div className="order-2 flex flex-col gap-4 wide:order-none">
            <StartPanel />
            <Options />
          </div>
        </div>
        <div className="order-1 min-w-0 wide:order-none wide:min-h-0 wide:overflow-y-auto wide:p-5">
          <Stage />
        </div>
        <div className="order-3 min-w-0 wide:order-none wide:max-h-48 wide:overflow-y-auto wide:border-t wide:border-line wide:p-5 full:max-h-none full:border-t-0 full:border-l full:bg-surface">
          <QueuePanel />
        </div>
      </div>
    </div>
  );
}
