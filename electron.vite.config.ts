import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'electron-vite';
import type { Plugin } from 'vite';

const fromRoot = (...parts: string[]): string => resolve(import.meta.dirname, ...parts);

/** Every file that starts as a program, process or thread, under its own path: `src-main/engine/worker.ts` becomes `out/main/engine/worker.js`. */
const entries = [
  'index',
  'headless',
  'cli/main',
  'engine/worker',
  'engine/model-thread',
  'inference/meter-thread',
  'inference/convolutions/convolution-thread',
  'images/image-worker',
];

/** Copies the two files of Swagger UI that `/docs` needs into `out/`, so that the package itself is not shipped. */
const copySwaggerUi: Plugin = {
  name: 'copy-swagger-ui',
  writeBundle() {
    const from = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json')), 'static');
    mkdirSync(fromRoot('out/swagger-ui'), { recursive: true });
    for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js']) copyFileSync(join(from, file), fromRoot('out/swagger-ui', file));
  },
};

export default defineConfig({
  main: {
    plugins: [copySwaggerUi],
    build: {
      outDir: 'out/main',
      sourcemap: true,
      // bundled, because it requires an ES module, which Node.js 20 cannot do
      externalizeDeps: { exclude: ['@fastify/static'] },
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
    // a test limits the gzipped size; this warning is about the uncompressed size
    build: {
      minify: true,
      chunkSizeWarningLimit: 1000,
      outDir: fromRoot('out/renderer'),
      rollupOptions: { input: { index: fromRoot('src-renderer/index.html') } },
    },
    plugins: [react(), tailwindcss()],
  },
});
