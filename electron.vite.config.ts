import { resolve } from 'node:path';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'electron-vite';

const fromRoot = (...parts: string[]): string => resolve(import.meta.dirname, ...parts);

/** Every file that something starts, under its own path: `src-main/engine/worker.ts` becomes `out/main/engine/worker.js`. */
const entries = ['index', 'headless', 'generate', 'parity', 'compile', 'engine/worker', 'engine/model-thread'];

export default defineConfig({
  main: {
    build: {
      outDir: 'out/main',
      sourcemap: true,
      rollupOptions: { input: Object.fromEntries(entries.map((entry) => [entry, fromRoot('src-main', `${entry}.ts`)])) },
    },
  },
  preload: {
    build: {
      outDir: 'out/preload',
      // a sandboxed preload is CommonJS and can require nothing but electron
      externalizeDeps: false,
      rollupOptions: { input: { preload: fromRoot('src-main/app/preload.ts') }, output: { format: 'cjs', entryFileNames: '[name].cjs' } },
    },
  },
  renderer: {
    root: fromRoot('src-renderer'),
    publicDir: fromRoot('src-renderer/public'),
    build: { minify: true, outDir: fromRoot('out/renderer'), rollupOptions: { input: { index: fromRoot('src-renderer/index.html') } } },
    plugins: [react(), tailwindcss()],
  },
});
