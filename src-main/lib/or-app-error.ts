import { AppError } from '#shared/protocol/errors.ts';

/** What `promise` resolves with, or the `AppError` that it rejects with; other errors are passed on. */
export async function orAppError<T>(promise: Promise<T>): Promise<T | AppError> {
  try {
    return await promise;
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
}
