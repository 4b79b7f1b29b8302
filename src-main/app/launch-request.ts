import { readFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import type { DesktopCommand } from '#shared/protocol/desktop.ts';

export const LINK_SCHEME = 'zimage';

const MAX_PNG_BYTES = 128 * 1024 * 1024;
const MAX_LINK_CHARACTERS = 16_384;
const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

const numericParams = new Set(['width', 'height', 'steps', 'guidance_scale', 'seed']);
const textParams = new Set(['prompt', 'model_type']);

/**
 * Commands for the window: `zimage://create?prompt=…&width=…` links and PNG files among the arguments, in their order.
 * Ignores everything else, also links and files that cannot be read: a start never fails because of its arguments.
 * @param cwd Folder for relative paths: that of the start that passed the arguments.
 */
export async function readLaunchRequest(argv: readonly string[], cwd: string): Promise<DesktopCommand[]> {
  const commands = await Promise.all(
    argv.map((argument) => {
      if (argument.startsWith(`${LINK_SCHEME}:`)) return commandOfLink(argument);
      return !argument.startsWith('-') && /\.png$/i.test(argument) ? readImage(isAbsolute(argument) ? argument : resolve(cwd, argument)) : null;
    }),
  );
  return commands.filter((command) => command !== null);
}

/** The params of a link, or null for a foreign link. Takes only params of a job; the form checks their values. */
export function commandOfLink(link: string): DesktopCommand | null {
  if (link.length > MAX_LINK_CHARACTERS || !URL.canParse(link)) return null;
  const url = new URL(link);
  if (url.protocol !== `${LINK_SCHEME}:`) return null;
  const params: Record<string, string | number> = {};
  for (const [name, value] of url.searchParams) {
    if (textParams.has(name)) params[name] = value;
    else if (numericParams.has(name) && value.trim() !== '' && Number.isFinite(Number(value))) params[name] = Number(value);
  }
  return Object.keys(params).length === 0 ? { command: 'go', screen: 'create' } : { command: 'fill', params };
}

/** An image whose recipe the window reads, or null if the file is not a PNG or too large. */
async function readImage(path: string): Promise<DesktopCommand | null> {
  try {
    const { size } = await stat(path);
    if (size > MAX_PNG_BYTES) return null;
    const bytes = await readFile(path);
    if (!bytes.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) return null;
    return { command: 'open_image', name: basename(path), png: new Uint8Array(bytes) };
  } catch {
    return null;
  }
}
