import type { UpdateFailure } from '#shared/protocol/desktop.ts';

/** Why an update is not taken. It reaches the window as a state; the window has a sentence for each reason. */
export class UpdateRefusal extends Error {
  override readonly name = 'UpdateRefusal';
  readonly reason: UpdateFailure;
  /** The value found: a version, an address, a number of bytes. */
  readonly detail: string;

  constructor(reason: UpdateFailure, detail: string, options?: { cause?: unknown }) {
    super(`update refused, ${reason}: ${detail}`, options);
    this.reason = reason;
    this.detail = detail;
  }
}

/** Any thrown value as a refusal; one that says nothing else is `unexpected`. */
export function asUpdateRefusal(thrown: unknown): UpdateRefusal {
  if (thrown instanceof UpdateRefusal) return thrown;
  return new UpdateRefusal('unexpected', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}
