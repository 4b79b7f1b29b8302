import { type Config, loadConfig, type OptionName } from './config.ts';

/** The configuration of a command other than the server: `given` options, and the environment for the `inherited` ones alone. Throws `bad_option`. */
export function loadCommandConfig(given: Readonly<Partial<Record<OptionName, string | undefined>>>, inherited: readonly OptionName[]): Config {
  const argv = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  return loadConfig(argv, process.env, undefined, inherited);
}
