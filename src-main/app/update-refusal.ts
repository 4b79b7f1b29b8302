import type { UpdateFailure } from '#shared/protocol/desktop.ts';

/** Why an update is not taken. It reaches the window as a state, which has the sentence for it in each language. */
export class UpdateRefusal extends Error {
  override readonly name = 'UpdateRefusal';
  readonly reason: UpdateFailure;
  /** The value met: a version, an address, a number of bytes. */
  readonly detail: string;

  constructor(reason: UpdateFailure, detail: string, options?: { cause?: unknown }) {
    super(`update refused, ${reason}: ${detail}`, options);
    this.reason = reason;
    this.detail = detail;
  }
}
