import type { StateCreator } from 'zustand/vanilla';
import { HttpFailure } from '../client/http.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { ServerSlice, StudioDeps, StudioState } from './state.ts';

/** The server keeps the same number. */
const MAX_LOG_LINES = 2000;

type Needs = ServerSlice & Pick<StudioState, 'notifyFailure'>;

export function createServerSlice({ http }: Pick<StudioDeps, 'http'>): StateCreator<Needs, [], [], ServerSlice> {
  return (set, get) => {
    /** Loads one call at a time. A missing access key is shown in place of the data rather than as a notice. */
    const load = (ask: () => Promise<Partial<ServerSlice>>) =>
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

      refreshServerSettings: load(async () => ({ serverSettings: await http.settings() })),
      refreshNetwork: load(async () => ({ network: await http.network() })),
      refreshClients: load(async () => ({ clients: await http.clients() })),

      refreshDevices(again) {
        if (get().isProbing) return;
        set({ isProbing: true });
        http
          .devices(again)
          .then((devices) => set({ devices }), get().notifyFailure)
          .finally(() => set({ isProbing: false }));
      },

      refreshLog: load(async () => {
        const known = get().log ?? [];
        const { lines, newest } = await http.log(known.at(-1)?.number ?? 0);
        // a restarted server counts from one again
        const isSameStart = newest >= (known.at(-1)?.number ?? 0);
        return { log: isSameStart ? [...known, ...lines].slice(-MAX_LOG_LINES) : (await http.log(0)).lines };
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

/** The access key that a script on this machine must send; null if none is needed. It is part of the addresses that the server shares. */
export function accessKeyOf({ info, network }: Pick<StudioState, 'info' | 'network'>): string | null {
  if (info === null || info.access.from_this_machine || network === null || !network.key_required) return null;
  return network.addresses.map(({ url }) => new URL(url).searchParams.get('token')).find((key) => key !== null) ?? null;
}
