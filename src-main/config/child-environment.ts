/** What a process that we start inherits: our own environment, copied. */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}
