import type { StateCreator } from 'zustand/vanilla';
import type { Devices } from '#shared/domain/device.ts';
import type { Clients, LogLine, Network } from '#shared/protocol/http.ts';
import type { SettingsAnswer, SettingsChange } from '#shared/protocol/settings.ts';
import { HttpFailure } from '../client/http.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

/** As many lines as the server keeps. */
const KEPT_LOG_LINES = 2000;

/** What the server tells of itself to its own machine and to who has the key. Null until it has told. */
export interface ServerSlice {
  serverSettings: SettingsAnswer | null;
  network: Network | null;
  clients: Clients | null;
  devices: Devices | null;
  /** True while the devices are being tried, which takes a while. */
  isProbing: boolean;
  /** Oldest first. */
  log: readonly LogLine[] | null;
  /** True where the server tells these things to this window only with the access key. */
  isKeyMissing: boolean;
  refreshServerSettings(): void;
  /** Null when it is done, else why not. */
  changeServerSettings(change: SettingsChange): Promise<HttpFailure | null>;
  refreshNetwork(): void;
  refreshClients(): void;
  /** Asks what images can be made on; `again` has every device tried anew. */
  refreshDevices(again: boolean): void;
  /** Adds what was logged since the last time. */
  refreshLog(): void;
}

export function createServerSlice({ http }: StudioDeps): StateCreator<StudioState, [], [], ServerSlice> {
  return (set, get) => {
    /** `ask` one at a time; that the key is missing is shown where the answer would stand. */
    const asking = (ask: () => Promise<Partial<StudioState>>) =>
      oneAtATime(() =>
        ask().then(
          (answer) => set({ ...answer, isKeyMissing: false }),
          (failure: unknown) => {
            if (failure instanceof HttpFailure && failure.code === 'access_key_required') set({ isKeyMissing: true });
            else get().notifyFailure(failure);
          },
        ),
      );

    return {
      serverSettings: null,
      network: null,
      clients: null,
      devices: null,
      isProbing: false,
      log: null,
      isKeyMissing: false,

      refreshServerSettings: asking(async () => ({ serverSettings: await http.settings() })),
      refreshNetwork: asking(async () => ({ network: await http.network() })),
      refreshClients: asking(async () => ({ clients: await http.clients() })),

      refreshDevices(again) {
        if (get().isProbing) return;
        set({ isProbing: true });
        http
          .devices(again)
          .then((devices) => set({ devices }), get().notifyFailure)
          .finally(() => set({ isProbing: false }));
      },

      refreshLog: asking(async () => {
        const known = get().log ?? [];
        const { lines, newest } = await http.log(known.at(-1)?.number ?? 0);
        // a server that was started anew counts from one again
        const isSameStart = newest >= (known.at(-1)?.number ?? 0);
        return { log: isSameStart ? [...known, ...lines].slice(-KEPT_LOG_LINES) : (await http.log(0)).lines };
      }),

      async changeServerSettings(change) {
        try {
          set({ serverSettings: await http.changeSettings(change) });
          return null;
        } catch (failure) {
          if (failure instanceof HttpFailure) return failure;
          throw failure;
        }
      },
    };
  };
}

/** The access key that a program from this machine has to bring; null where none is asked for. The server shows it only in the addresses it hands out. */
export function accessKeyOf({ info, network }: Pick<StudioState, 'info' | 'network'>): string | null {
  if (info === null || info.access.from_this_machine || network === null || !network.key_required) return null;
  return network.addresses.map(({ url }) => new URL(url).searchParams.get('token')).find((key) => key !== null) ?? null;
}
