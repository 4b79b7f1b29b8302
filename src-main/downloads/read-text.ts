import { AppError } from '#shared/protocol/errors.ts';
import { type HttpResponse, unreachable } from './http-client.ts';

/** The whole body as text. Throws `download_failed` if it has more than `maxBytes` or the connection breaks. */
export async function readText(response: HttpResponse, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw new AppError('download_failed', `${response.url.href} has more than ${maxBytes} bytes.`, {});
      chunks.push(chunk);
    }
  } catch (cause) {
    response.discard();
    throw unreachable(response.url, cause);
  }
  return Buffer.concat(chunks).toString('utf8');
}
