import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { vcRuntimeFiles } from '#main/config/vc-runtime.ts';
import { peImports } from './support/pe-imports.ts';

const modules = resolve(import.meta.dirname, '../node_modules');
/** The native libraries that the Windows package ships, as far as they are installed on every system. */
const folders = ['onnxruntime-node/bin/napi-v6/win32/x64', '@photostructure/sqlite/prebuilds/win32-x64', '@koromix/koffi-win32-x64/win32_x64'];
const shipped = folders
  .map((folder) => join(modules, folder))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => /\.(dll|node)$/.test(path));

/** What every Windows 10 has: API sets, among them the universal C runtime, and these. `node.exe` is the program itself. */
const ofWindows =
  /^(api-ms-win-|ext-ms-)|^(kernel32|advapi32|ole32|oleaut32|user32|shell32|setupapi|dbghelp|d3d12|dxgi|ws2_32|ntdll|bcrypt|node|ucrtbase)\.(dll|exe)$/;

test('each library of the Windows package finds what it imports: in Windows, beside it, or in the Visual C++ runtime that the package brings', () => {
  const beside = new Set(shipped.map((path) => basename(path).toLowerCase()));
  const runtime = new Set<string>();
  const lost: string[] = [];
  expect([...beside]).toEqual(expect.arrayContaining(['onnxruntime.dll', 'onnxruntime_binding.node']));
  for (const path of shipped) {
    for (const { name } of peImports(path)) {
      if (ofWindows.test(name) || beside.has(name)) continue;
      if (/^(msvcp|vcruntime|concrt)/.test(name)) runtime.add(name);
      else lost.push(`${basename(path)} needs ${name}`);
    }
  }
  expect(lost).toEqual([]);
  expect([...runtime].sort()).toEqual([...vcRuntimeFiles].sort());
});

test('the package has the runtime beside the program and beside ONNX Runtime', async () => {
  const path = resolve(import.meta.dirname, '../electron-builder.config.mjs');
  const { default: packaging }: { default: unknown } = await import(pathToFileURL(path).href);
  const { win } = z.looseObject({ win: z.looseObject({ extraFiles: z.array(z.looseObject({ to: z.string() })) }) }).parse(packaging);
  expect(win.extraFiles.map(({ to }) => to)).toEqual(['.', 'resources/app.asar.unpacked/node_modules/onnxruntime-node/bin/napi-v6/win32/x64']);
});
