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
 * What a start asks the window to do: `zimage://create?prompt=…&width=…` links and PNG files among its arguments, in their order.
 * Anything else, a link or file that cannot be read included, is left out: a start never fails on what somebody passed along.
 * @param cwd Folder that relative paths are meant from: another start's, where the arguments come from there.
 */
export async function readLaunchRequest(argv: readonly string[], cwd: string): Promise<DesktopCommand[]> {
  const commands = await Promise.all(
    argv.map((argument) => {
      if (argument.startsWith(`${LINK_SCHEME}:`)) return commandOfLink(argument);
      return !argument.startsWith('-') && /\.png$/i.test(argument) ? readPicture(isAbsolute(argument) ? argument : resolve(cwd, argument)) : null;
    }),
  );
  return commands.filter((command) => command !== null);
}

/** A link's params as typed into the form, or null where it is none of ours. Only params of a job are taken; the form checks their values. */
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

/** The picture for the window to read its recipe from, or null where the file is no PNG of a sane size. */
async function readPicture(path: string): Promise<DesktopCommand | null> {
  try {
    const { size } = await stat(path);
    if (size > MAX_PNG_BYTES) return null;
    const bytes = await readFile(path);
    if (!bytes.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) return null;
    return { command: 'open_picture', name: basename(path), png: new Uint8Array(bytes) };
  } catch {
    return null;
  }
}
