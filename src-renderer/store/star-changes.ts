interface StarChangesOptions {
  call(id: string, isStarred: boolean): Promise<unknown>;
  /** Whether the image is shown as starred. */
  current(id: string): boolean;
  show(id: string, isStarred: boolean): void;
  notifyFailure(failure: unknown): void;
}

/** Stars are shown at once. When the last call for an image ends, the image shows what the server has confirmed. */
export interface StarChanges {
  change(id: string, isStarred: boolean): void;
  /** The server reports the state of an image after any client's change. */
  confirmed(id: string, isStarred: boolean): void;
}

export function createStarChanges({ call, current, show, notifyFailure }: StarChangesOptions): StarChanges {
  const pending = new Map<string, { isStarred: boolean; calls: number }>();

  return {
    change(id, isStarred) {
      const known = pending.get(id) ?? { isStarred: current(id), calls: 0 };
      pending.set(id, known);
      known.calls++;
      show(id, isStarred);
      call(id, isStarred)
        .then(() => {
          known.isStarred = isStarred;
        }, notifyFailure)
        .finally(() => {
          known.calls--;
          if (known.calls > 0) return;
          pending.delete(id);
          show(id, known.isStarred);
        });
    },

    confirmed(id, isStarred) {
      const known = pending.get(id);
      if (known === undefined) show(id, isStarred);
      else known.isStarred = isStarred;
    },
  };
}
