/** What a process that we start inherits: our own environment, but for the token that it has no use for. */
export function childEnvironment(): NodeJS.ProcessEnv {
  const { HF_TOKEN: _, ...rest } = process.env;
  return rest;
}
