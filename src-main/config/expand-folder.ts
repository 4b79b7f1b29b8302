import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import type { Environment } from './read-options.ts';

/** An absolute folder or file from one that a person wrote: `~`, `$NAME` and `${NAME}` are replaced as a shell does it. Throws `bad_option`. */
export function expandFolder(text: string, env: Environment): string {
  const withVariables = text.replace(/\$(?:(\w+)|\{(\w+)\})/g, (_, plain?: string, braced?: string) => {
    const name = plain ?? braced ?? '';
    const value = env[name]?.trim();
    if (value) return value;
    throw new AppError('bad_option', `The folder ${text} uses the variable ${name}, which is not set. Set it, or write the folder out.`, { option: name });
  });
  if (!/^~(?=$|[/\\])/.test(withVariables)) return resolve(withVariables);
  const home = homeFolder(env);
  if (home === null)
    throw new AppError('bad_option', `The folder ${text} starts in the home folder, and this user has none. Set HOME, or write the folder out.`, {
      option: 'HOME',
    });
  return resolve(`${home}${withVariables.slice(1)}`);
}

/** Null for a user without one: no HOME, and no entry in the system's list of users, as in some containers. */
export function homeFolder(env: Environment): string | null {
  const set = env['HOME']?.trim();
  if (set) return set;
  try {
    return homedir() || null;
  } catch {
    return null;
  }
}
