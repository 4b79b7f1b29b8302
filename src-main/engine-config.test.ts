import { expect, test } from 'vitest';
import { engineConfig } from './engine-config.ts';

test('a device that this machine cannot use is refused by name', () => {
  const config = { accuracy: 'fast', memory: 'resident', dataDir: '/data' } as const;
  expect(() => engineConfig({ ...config, device: 'cuda' })).toThrow(expect.objectContaining({ code: 'device_unavailable', data: { device: 'cuda' } }));
  expect(engineConfig({ ...config, device: 'auto' })).toMatchObject({ device: 'cpu', accuracy: 'fast' });
});
