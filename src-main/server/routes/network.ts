import { networkInterfaces } from 'node:os';
import { type Network, networkSchema } from '#shared/protocol/http.ts';
import type { Access } from '../access/access-hook.ts';
import type { AccessKey } from '../access/access-key.ts';
import { type AccessRules, isLoopback } from '../access/access-rules.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { serverUrl } from '../listen.ts';

type Address = Pick<Network['addresses'][number], 'address' | 'interface' | 'family'>;

export function registerNetwork(app: App, { open }: AccessRules, key: AccessKey, access: Access): void {
  const schema = { tags: ['server'], summary: 'Where other machines reach this server', response: { 200: networkSchema, ...errorAnswers } };
  app.get('/api/network', { config: { insistsOnKey: true }, schema }, (request, reply): Network => {
    // without it, every user and program of this machine could read the key here
    const hasKey = access.hasKey(request);
    reply.header('cache-control', 'no-store');
    const { address: host, port } = boundTo(app);
    const query = hasKey && !open ? `?token=${encodeURIComponent(key.text())}` : '';
    const addresses = addressesAt(host, machineAddresses()).map((at) => ({ ...at, url: `${serverUrl(at.address, port)}/${query}` }));
    return { host, port, reachable_from_network: !isLoopback(host), key_required: !open, key_included: hasKey && !open, addresses };
  });
}

/** The `addresses` at which other machines reach a server that listens on `host`. */
export function addressesAt(host: string, addresses: readonly Address[]): Address[] {
  if (host === '::') return [...addresses];
  return addresses.filter(({ address, family }) => (host === '0.0.0.0' ? family === 'IPv4' : address === host));
}

/** Without loopback addresses, and without link-local ones, which also need the name of an interface. */
function machineAddresses(): Address[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
    (entries ?? [])
      .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
      .map(({ address, family }) => ({ address, interface: name, family })),
  );
}

function boundTo(app: App): { address: string; port: number } {
  const bound = app.server.address();
  return typeof bound === 'object' && bound !== null ? bound : { address: '', port: 0 };
}
