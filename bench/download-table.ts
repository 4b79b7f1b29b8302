import type { DownloadResults } from './results.ts';

const words: Readonly<Record<string, string>> = {
  cut: 'the connection breaks in the middle',
  flip: 'a bit is flipped',
  short: 'fewer bytes than were asked for',
  long: 'more bytes than were asked for',
  'other-range': 'another range than was asked for',
  'other-length': 'the file has another length than was told',
  'ignore-range': 'the whole file whatever was asked for',
  'new-etag': 'another ETag in the middle',
  'error-500': 'HTTP 500',
  'error-416': 'HTTP 416',
  expired: 'HTTP 403: a signed address expired',
  wait: 'HTTP 429 with Retry-After',
  stall: 'silence in the middle',
  html: 'a web page with HTTP 200',
  'to-http': 'a redirect to http',
  'to-private': 'a redirect to a private address',
  'to-name-of-private': 'a redirect to a name of a private address',
  loop: 'redirects without end',
};

/** Kills and faults of `npm run bench -- downloads` as Markdown. */
export function downloadTable({ date, machine, kills, faults: rows }: DownloadResults): string {
  const lines = rows.map(({ fault, times, fetchedBytes, sizeBytes, state, isRight }) => {
    const end = isRight ? 'right bytes' : state === 'failed' ? 'refused' : state;
    return `| ${words[fault] ?? fault} | ${times} | ${end} | ${megabytes(fetchedBytes)} of ${megabytes(sizeBytes)} |`;
  });
  return [
    `Measured by \`npm run bench -- downloads\` on ${date} (${machine}). ${kills.kills} times the process of a download of ${megabytes(kills.sizeBytes)} was killed at random (SIGKILL): ${kills.isRight ? 'the right bytes in the end' : '**wrong bytes**'}, ${megabytes(kills.mostLostBytes)} fetched again at most after a kill, ${kills.resumed} runs went on with what was there.`,
    '',
    '| the server answers with | times | in the end | fetched |',
    '|---|---|---|---|',
    ...lines,
  ].join('\n');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
