import { join } from 'node:path';
import { expect, test } from 'vitest';
import { missingVcRuntime, vcRuntimeFiles } from './vc-runtime.ts';

const windows = (present: readonly string[]) =>
  missingVcRuntime('/ort', { platform: 'win32', env: { SystemRoot: '/windows' }, exists: (path) => present.includes(String(path)) });

test('a file of the runtime may be beside ONNX Runtime or in System32; one that is nowhere is named', () => {
  const system = vcRuntimeFiles.map((file) => join('/windows/System32', file));
  expect(windows(system)).toBeNull();
  expect(windows(vcRuntimeFiles.map((file) => join('/ort', file)))).toBeNull();
  expect(windows(system.filter((path) => !path.endsWith('msvcp140_1.dll')))).toContain(
    '(msvcp140_1.dll): install https://aka.ms/vs/17/release/vc_redist.x64.exe',
  );
  expect(missingVcRuntime('/ort', { platform: 'linux', exists: () => false })).toBeNull();
});
