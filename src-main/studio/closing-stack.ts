/** Closes what was opened, in reverse. Each close runs even if another one fails. */
export class ClosingStack {
  readonly #closes: Array<() => unknown> = [];

  /** To be called as soon as something is open. */
  add(close: () => unknown): void {
    this.#closes.push(close);
  }

  /** Throws the first error, after everything was closed. */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (let close = this.#closes.pop(); close !== undefined; close = this.#closes.pop()) {
      try {
        await close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
