import type { ClientPlace, Clock, JobsLog } from '../jobs.ts';
import type { ClientSighting, Store } from '../store/store.ts';

const WRITTEN_AFTER_MS = 10_000;

/** When which client id was connected. Sightings are gathered and written together, so that connecting never waits for the disk. */
export class ClientsSeen {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: JobsLog;
  readonly #unwritten = new Map<string, ClientSighting>();
  #callOff: (() => void) | null = null;

  constructor(store: Store, clock: Clock, log: JobsLog) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  note(clientId: string, from: ClientPlace): void {
    const lastMs = this.#clock.now();
    this.#unwritten.set(clientId, { firstMs: this.#unwritten.get(clientId)?.firstMs ?? lastMs, lastMs, from });
    this.#callOff ??= this.#clock.schedule(() => this.write(), WRITTEN_AFTER_MS);
  }

  /** Sightings are a convenience: where they cannot be written nothing else is kept from happening. */
  write(): void {
    this.#callOff?.();
    this.#callOff = null;
    if (this.#unwritten.size === 0) return;
    try {
      this.#store.transaction(() => {
        for (const [clientId, sighting] of this.#unwritten) this.#store.noteClient(clientId, sighting);
      });
    } catch (thrown) {
      this.#log.warn({ err: thrown, clients: this.#unwritten.size }, 'when clients were connected could not be written down');
    }
    this.#unwritten.clear();
  }
}
