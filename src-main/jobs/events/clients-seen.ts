import type { Clock } from '#main/lib/clock.ts';
import type { ClientPlace, JobsLog } from '../jobs.ts';
import type { ClientRepository, ClientSighting } from '../store/client-repository.ts';

const WRITTEN_AFTER_MS = 10_000;

/** When which client id was connected. Sightings are collected and written together, so that connecting never waits for the disk. */
export class ClientsSeen {
  readonly #clients: ClientRepository;
  readonly #clock: Clock;
  readonly #log: JobsLog;
  readonly #unwritten = new Map<string, ClientSighting>();
  #callOff: (() => void) | null = null;

  constructor(clients: ClientRepository, clock: Clock, log: JobsLog) {
    this.#clients = clients;
    this.#clock = clock;
    this.#log = log;
  }

  note(clientId: string, from: ClientPlace): void {
    const lastMs = this.#clock.now();
    this.#unwritten.set(clientId, { firstMs: this.#unwritten.get(clientId)?.firstMs ?? lastMs, lastMs, from });
    this.#callOff ??= this.#clock.schedule(() => this.write(), WRITTEN_AFTER_MS);
  }

  /** Sightings are a convenience: a failed write is logged and stops nothing else. */
  write(): void {
    this.#callOff?.();
    this.#callOff = null;
    if (this.#unwritten.size === 0) return;
    try {
      this.#clients.note(this.#unwritten);
    } catch (thrown) {
      this.#log.warn({ err: thrown, clients: this.#unwritten.size }, 'the times at which clients were connected could not be saved');
    }
    this.#unwritten.clear();
  }
}
