import { expect, test } from 'vitest';
import { createLog, type LogTarget } from './log.ts';

function capture(isTTY: boolean): { lines: string[]; target: LogTarget } {
  const lines: string[] = [];
  return { lines, target: { isTTY, write: (text) => lines.push(text) } };
}

for (const isTTY of [false, true]) {
  const where = isTTY ? 'on a terminal' : 'as JSON';

  test(`${where}, an entry is one line without control characters`, () => {
    const { lines, target } = capture(isTTY);
    createLog('info', target).info({ name: 'a\u001b[31m\r\nfake line\u009b\u202e\u0000' }, 'hello\nworld');
    expect(lines).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what the test looks for
    expect(lines[0]?.replace(/\n$/, '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(lines[0]).toContain('fake line');
  });

  test(`${where}, keys are hidden wherever they stand`, () => {
    const { lines, target } = capture(isTTY);
    const log = createLog('info', target);
    log.info({ url: '/?token=SECRET&x=1', token: 'SECRET', inner: { key: 'SECRET' } }, 'GET /api/info?token=SECRET');
    log.info({ headers: { authorization: 'Bearer SECRET', cookie: 'zimage_key=SECRET; a=b' }, text: 'Authorization: bearer SECRET' }, 'x');
    log.error({ err: new Error('failed for /?token=SECRET') }, 'y');
    expect(lines).toHaveLength(3);
    expect(lines.join('')).not.toContain('SECRET');
    expect(lines[0]).toContain('x=1');
  });
}

test('levels below the chosen one are left out', () => {
  const { lines, target } = capture(false);
  const log = createLog('info', target);
  log.debug('no');
  log.warn('yes');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 40, msg: 'yes' });
});
