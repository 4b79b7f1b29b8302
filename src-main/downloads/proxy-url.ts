import { AppError } from '#shared/protocol/errors.ts';

const SCHEMES = ['http:', 'https:'];

/**
 * The proxy address in an environment variable, read as curl and Go read it: without a scheme it is an HTTP proxy. Empty where unset.
 * Throws `download_failed`; the message leaves the value out, since it may hold a password.
 */
export function proxyUrl(variable: 'HTTP_PROXY' | 'HTTPS_PROXY', value: string): string {
  const text = value.trim();
  if (text === '') return '';
  const [, scheme] = /^([^:/@]*):\/\//.exec(text) ?? [];
  const url = scheme === undefined ? `http://${text}` : text;
  if (!URL.canParse(url)) throw unusable(variable, 'is not an address');
  if (!SCHEMES.includes(new URL(url).protocol)) throw unusable(variable, `has the scheme ${JSON.stringify(scheme)}`);
  return url;
}

function unusable(variable: string, what: string): AppError<'download_failed'> {
  return new AppError('download_failed', `${variable} ${what}. Set it to an HTTP proxy such as proxy.example:3128, or unset it.`, {});
}
