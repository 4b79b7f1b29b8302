import { BlockList, isIP } from 'node:net';
import { AppError } from '#shared/protocol/errors.ts';

/** Addresses that belong to this machine, its network or nobody. Sources: RFC 6890, https://www.iana.org/assignments/iana-ipv4-special-registry */
const notPublic = new BlockList();
for (const [address, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  notPublic.addSubnet(address, prefix, 'ipv4');
for (const [address, prefix] of [
  ['::', 127],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  notPublic.addSubnet(address, prefix, 'ipv6');

/** Whether an IP address is one of the open internet; an IPv4 address inside an IPv6 one counts as itself. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !notPublic.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Where a redirect leads. A server may send us on to another host over https only, and never into a private network: what it names would be asked
 * from inside of that network. Names are looked up later and meet the same rule there.
 * Throws `download_refused`.
 */
export function redirectTarget(from: URL, location: string, endpoint: URL, isPublic: (address: string) => boolean = isPublicAddress): URL {
  if (!URL.canParse(location, from.href)) throw refused(from, `an address that is none: ${JSON.stringify(location.slice(0, 200))}`);
  const to = new URL(location, from);
  if (to.origin === endpoint.origin) return to;
  if (to.protocol !== 'https:') throw refused(from, `${to.origin}, which is not https`);
  if (to.username !== '' || to.password !== '') throw refused(from, `${to.hostname} with a name and a password`);
  const host = to.hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && !isPublic(host))) throw refused(from, `${to.host}, a private address`);
  return to;
}

function refused(from: URL, what: string): AppError<'download_refused'> {
  return new AppError('download_refused', `${from.host} redirects to ${what}; that is not followed.`, {});
}
