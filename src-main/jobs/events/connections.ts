import { randomUUID } from 'node:crypto';
import type { RequestId, ServerMessage } from '#shared/protocol/messages.ts';
import type { Caller } from '../jobs.ts';
import type { Standing } from '../store/subscription-repository.ts';

/** An open connection. */
export interface Connection {
  readonly clientId: string | null;
  /** Who takes turns with whom: `client:ID`, or `connection:UUID` without a client id. */
  readonly requester: string;
  readonly send: (message: ServerMessage) => void;
  /** Subscriptions of a connection without a client id; the store has the subscriptions of client ids. */
  readonly subscriptions: Map<string, { requestId: RequestId; standing: Standing }>;
  /** Number of the newest message to a connection without a client id. */
  seq: number;
  all: boolean;
  previews: boolean;
}

/** The open connections, by client id. */
export class Connections {
  readonly #all = new Set<Connection>();
  readonly #byClient = new Map<string, Set<Connection>>();

  open({ clientId, requester: given }: Caller, send: (message: ServerMessage) => void): Connection {
    const requester = given ?? (clientId === null ? `connection:${randomUUID()}` : `client:${clientId}`);
    const connection: Connection = { clientId, requester, send, subscriptions: new Map(), seq: 0, all: false, previews: false };
    this.#all.add(connection);
    if (clientId !== null) {
      const others = this.#byClient.get(clientId);
      if (others === undefined) this.#byClient.set(clientId, new Set([connection]));
      else others.add(connection);
    }
    return connection;
  }

  close(connection: Connection): void {
    this.#all.delete(connection);
    if (connection.clientId === null) return;
    const others = this.#byClient.get(connection.clientId);
    others?.delete(connection);
    if (others?.size === 0) this.#byClient.delete(connection.clientId);
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#all.values();
  }

  ofClient(clientId: string): ReadonlySet<Connection> {
    return this.#byClient.get(clientId) ?? new Set();
  }

  withoutClientId(): Connection[] {
    return [...this.#all].filter(({ clientId }) => clientId === null);
  }

  /** Client ids with a connection that watches all jobs. */
  watchingClients(): string[] {
    return [...this.#byClient].filter(([, connections]) => [...connections].some(({ all }) => all)).map(([clientId]) => clientId);
  }
}
