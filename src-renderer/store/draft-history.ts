import type { Draft } from './draft.ts';

/** Characters typed with shorter pauses than this form one step. */
const TYPING_PAUSE_MS = 1000;
const MAX_STEPS = 200;

interface Step {
  /** The changed fields before and after the step. */
  before: Partial<Draft>;
  after: Partial<Draft>;
  /** When typing last extended this step; null for a step that typing does not extend. */
  typedAtMs: number | null;
}

/** Undo and redo for the form: setting a text field from code empties the browser's own undo stack. */
export interface DraftHistory {
  add(draft: Draft, change: Partial<Draft>): void;
  addTyping(draft: Draft, change: Partial<Draft>): void;
  /** The fields to write back, or null if there is nothing to undo. */
  undo(draft: Draft): Partial<Draft> | null;
  redo(draft: Draft): Partial<Draft> | null;
}

export function createDraftHistory(now: () => number): DraftHistory {
  const past: Step[] = [];
  const future: Step[] = [];

  function push(draft: Draft, change: Partial<Draft>, typedAtMs: number | null): void {
    future.length = 0;
    past.push({ before: fieldsOf(draft, change), after: change, typedAtMs });
    if (past.length > MAX_STEPS) past.shift();
  }

  return {
    add: (draft, change) => push(draft, change, null),

    addTyping(draft, change) {
      const last = past.at(-1);
      const atMs = now();
      const continues = last?.typedAtMs != null && atMs - last.typedAtMs < TYPING_PAUSE_MS && future.length === 0 && last.after.prompt === draft.prompt;
      if (!continues) return push(draft, change, atMs);
      last.after = change;
      last.typedAtMs = atMs;
    },

    undo(draft) {
      const step = past.pop();
      if (step === undefined) return null;
      future.push({ ...step, after: fieldsOf(draft, step.before) });
      return step.before;
    },

    redo(draft) {
      const step = future.pop();
      if (step === undefined) return null;
      past.push({ ...step, before: fieldsOf(draft, step.after), typedAtMs: null });
      return step.after;
    },
  };
}

/** The values that `draft` has in the fields of `change`. */
function fieldsOf(draft: Draft, change: Partial<Draft>): Partial<Draft> {
  const fields = Object.keys(change) as (keyof Draft)[];
  return Object.fromEntries(fields.map((field) => [field, draft[field]]));
}
