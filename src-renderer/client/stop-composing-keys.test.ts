import { expect, test } from 'vitest';
import { stopComposingKeys } from './stop-composing-keys.ts';

const key = (name: string, properties: object) => Object.assign(new Event('keydown'), { key: name, isComposing: false, keyCode: 13, ...properties });

function pressed(event: Event): boolean {
  const page = new EventTarget();
  let isHandled = false;
  stopComposingKeys(page as Window);
  page.addEventListener('keydown', () => {
    isHandled = true;
  });
  page.dispatchEvent(event);
  return isHandled;
}

test('keys of an input method reach no handler', () => {
  expect(pressed(key('Enter', { isComposing: true }))).toBe(false);
  expect(pressed(key('Escape', { isComposing: true }))).toBe(false);
  expect(pressed(key('Enter', { keyCode: 229 }))).toBe(false);
  expect(pressed(key('Enter', {}))).toBe(true);
});
