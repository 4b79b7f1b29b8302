import type { ProgressStage } from '#shared/protocol/messages.ts';

/** Sums up wall time by stage. Progress is reported when work is done, so the time since the report before belongs to the stage that now reports. */
export class StageClock {
  readonly stagesMs: Partial<Record<ProgressStage, number>> = {};
  readonly #now: () => number;
  #last: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = now();
  }

  mark(stage: ProgressStage): void {
    const now = this.#now();
    this.stagesMs[stage] = (this.stagesMs[stage] ?? 0) + now - this.#last;
    this.#last = now;
  }
}
