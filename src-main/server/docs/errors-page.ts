import { type ErrorCode, errorTable } from '#shared/protocol/errors.ts';

/** Titles, by the code that each section begins with. */
const sections: Partial<Record<ErrorCode, string>> = {
  bad_json: 'Messages and requests',
  forbidden_host: 'Access',
  unknown_job: 'Jobs and images',
  disk_full: 'Disk and machine',
  checkpoint_missing: 'Checkpoints',
  engine_crashed: 'Engine',
};

const head = `# Errors

Every error has a code. Programs decide by the code and its data; the message is for people and may change.
Over HTTP an error is \`{"code", "message", …data}\` with the status below. Over the WebSocket it is an \`error\` message with \`code\`, \`message\`, the \`request_id\` of the message that it answers, and where they apply \`field\` and \`retry_after_ms\`. A failed job has its code and message in \`job_status\`.

This page is generated from \`src-shared/protocol/errors.ts\`.
`;

/** `docs/errors.md`: one heading a code, with its HTTP status, its data, what it means and what to do. */
export function createErrorsPage(): string {
  const rows = Object.entries(errorTable) as [ErrorCode, (typeof errorTable)[ErrorCode]][];
  return head + rows.map(([code, row]) => entry(code, row)).join('');
}

function entry(code: ErrorCode, { status, data, meaning, advice }: (typeof errorTable)[ErrorCode]): string {
  const title = sections[code] === undefined ? '' : `\n## ${sections[code]}\n`;
  const fields = Object.keys(data.shape).map((name) => `\`${name}\``);
  // 500 means that no request is at fault; only for internal it is what a client meets
  const facts = [...(status === 500 && code !== 'internal' ? [] : [`HTTP ${status}`]), ...(fields.length === 0 ? [] : [`data: ${fields.join(', ')}`])];
  const line = facts.length === 0 ? '' : `${facts.join('; ')}. `.replace(/^d/, 'D');
  return `${title}\n### \`${code}\`\n\n${line}${meaning}\n\n**What to do:** ${advice}\n`;
}
