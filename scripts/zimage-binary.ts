// Builds the command line of the packages, a Node.js executable that contains the client commands: node scripts/zimage-binary.ts
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'vite';

const root = resolve(import.meta.dirname, '..');
const outDir = join(root, 'out/zimage');
const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const executable = join(outDir, 'bin', process.platform === 'win32' ? 'zimage.exe' : 'zimage');

// CommonJS in one file: what a single executable application takes. Source: https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html
await build({
  configFile: false,
  logLevel: 'warn',
  define: { ZIMAGE_VERSION: JSON.stringify(process.env['DIST_VERSION'] ?? version) },
  ssr: { noExternal: true },
  build: {
    ssr: join(root, 'src-main/cli/zimage.ts'),
    outDir,
    emptyOutDir: true,
    minify: true,
    rollupOptions: { output: { format: 'cjs', entryFileNames: 'zimage.cjs', codeSplitting: false }, external: ['bufferutil', 'utf-8-validate'] },
  },
});
const blob = join(outDir, 'zimage.blob');
const config = join(outDir, 'sea.json');
writeFileSync(config, JSON.stringify({ main: join(outDir, 'zimage.cjs'), output: blob, disableExperimentalSEAWarning: true }));
execFileSync(process.execPath, ['--experimental-sea-config', config], { stdio: ['ignore', 'ignore', 'inherit'] });
mkdirSync(join(outDir, 'bin'), { recursive: true });
copyFileSync(process.execPath, executable);
chmodSync(executable, 0o755);
const postject = [executable, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'];
execFileSync(process.execPath, [join(root, 'node_modules/postject/dist/cli.js'), ...postject], { stdio: ['ignore', 'ignore', 'inherit'] });
