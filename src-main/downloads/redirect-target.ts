import { BlockList, isIP } from 'node:net';
import { AppError } from '#shared/protocol/errors.ts';

/** Addresses of this machine, of private networks and of no host. Sources: RFC 6890, https://www.iana.org/assignments/iana-ipv4-special-registry */
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

/** Whether an IP address is on the public internet; an IPv4 address inside an IPv6 address is checked as IPv4. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !notPublic.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * The address of a redirect. Another host is reached over https only, and never in a private network, which a foreign server could otherwise probe
 * through this machine. Host names are checked again when they are resolved. Throws `download_refused`.
 */
export function redirectTarget(from: URL, location: string, ownOrigin: string, isPublic: (address: string) => boolean = isPublicAddress): URL {
  if (!URL.canParse(location, from.href)) throw refused(from, `an invalid address: ${JSON.stringify(location.slice(0, 200))}`);
  const to = new URL(location, from);
  if (to.origin === ownOrigin) return to;
  if (to.protocol !== 'https:') throw refused(from, `${to.origin}, which is not https`);
  if (to.username !== '' || to.password !== '') throw refused(from, `${to.hostname} with a user name or password`);
  const host = to.hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && !isPublic(host))) throw refused(from, `${to.host}, a private address`);
  return to;
}

function refused(from: URL, what: string): AppError<'download_refused'> {
  return new AppError('download_refused', `${from.host} redirects to ${what}. The redirect was not followed.`, {});
}
