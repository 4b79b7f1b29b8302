import type { EventRepository } from '../store/event-repository.ts';

/** Numbers are reserved in blocks of this size, so that progress need not be written to the disk; after a restart they go on behind the block. */
const BLOCK_SIZE = 1000;
/** More clients than may be connected. The numbers of a forgotten one go on behind its block, as after a restart. */
const CLIENTS_REMEMBERED = 20_000;

/** The `seq` of what each client id is sent: growing, also over restarts. */
export class SequenceNumbers {
  readonly #events: EventRepository;
  readonly #clients = new Map<string, { last: number; reserved: number }>();

  constructor(events: EventRepository) {
    this.#events = events;
  }

  next(clientId: string): number {
    const numbers = this.#of(clientId);
    if (numbers.last >= numbers.reserved) {
      const reserved = numbers.last + BLOCK_SIZE;
      this.#events.reserveSeq(clientId, reserved);
      numbers.reserved = reserved;
    }
    return ++numbers.last;
  }

  newest(clientId: string): number {
    return this.#of(clientId).last;
  }

  /** After a rollback: numbers that were reserved inside the transaction are not reserved. */
  forget(): void {
    this.#clients.clear();
  }

  #of(clientId: string): { last: number; reserved: number } {
    let numbers = this.#clients.get(clientId);
    if (numbers === undefined) {
      const reserved = this.#events.reservedSeq(clientId);
      numbers = { last: reserved, reserved };
      this.#clients.set(clientId, numbers);
      const [oldest = clientId] = this.#clients.keys();
      if (this.#clients.size > CLIENTS_REMEMBERED) this.#clients.delete(oldest);
    }
    return numbers;
  }
}
