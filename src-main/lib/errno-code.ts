/** What a failed system call says for itself in a sentence: `ENOENT`, `EACCES` …, or the message of an error that has no such code. */
export function errnoCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
