import { errnoCode } from './errno-code.ts';

/** `fallback` if the path does not exist. Other errors are passed on: a process without free file descriptors has not lost its files. */
export async function unlessMissing<T, F>(reading: Promise<T>, fallback: F): Promise<T | F> {
  try {
    return await reading;
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(thrown))) return fallback;
    throw thrown;
  }
}
