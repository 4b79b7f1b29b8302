import { expect, test } from 'vitest';
import { barChart } from './bar-chart.ts';

test('bars are as long as their values, and every text is escaped', () => {
  const svg = barChart('a < b', [
    {
      label: '256',
      bars: [
        { name: 'ours', value: 1, text: '1 s' },
        { name: 'peer & co', value: 4, text: '4 s' },
      ],
    },
    { label: '512', bars: [{ name: 'ours', value: 2, text: '2 s' }] },
  ]);
  const widths = [...svg.matchAll(/class="(\w+)" x="110" y="[\d.]+" width="([\d.]+)" height="14"/g)].map(([, name, width]) => [name, Number(width)]);
  expect(widths).toEqual([
    ['ours', 135],
    ['peer', 540],
    ['ours', 270],
  ]);
  expect(svg).toContain('aria-label="a &lt; b"');
  expect(svg).toContain('peer &amp; co');
});
