// Runs other programs' clients and writes their verdicts to docs/integrations.md: npm run clients, for a new server with the bundled model,
// or npm run clients -- URL, for a running server
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { startOwnServer } from '#main/cli/start-own-server.ts';
import { integrationsPath, withSection } from './integration-docs.ts';

const verdictSchema = z.object({ client: z.string(), call: z.string(), verdict: z.enum(['works', 'fails']), reason: z.string().optional() });
const root = resolve(import.meta.dirname, '..');
const checks = join(root, 'clients/checks');
const python = join(checks, '.venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');

// environments of their own: none of these packages is a dependency of the program
if (!existsSync(join(checks, 'node_modules')))
  execFileSync('npm', ['install', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: checks, stdio: 'inherit' });
if (!existsSync(python)) {
  execFileSync('python3', ['-m', 'venv', join(checks, '.venv')], { stdio: 'inherit' });
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--requirement', join(checks, 'requirements.txt')], { stdio: 'inherit' });
}

const dataDir = mkdtempSync(join(tmpdir(), 'clients-'));
const running = process.argv[2];
const { url, stop } = running === undefined ? await startOwnServer(dataDir) : { url: running, stop: async () => {} };
const run = (program: string, args: string[]): z.infer<typeof verdictSchema>[] => {
  const { stdout, stderr, status } = spawnSync(program, [...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  if (lines.length === 0) throw new Error(`${args[0]} gave no verdict and ended with ${status}: ${stderr}`);
  return lines.map((line) => verdictSchema.parse(JSON.parse(line)));
};
const verdicts = [
  ...run(process.execPath, [join(checks, 'node-clients.mjs'), url, join(root, 'src-main/cli/main.ts')]),
  ...run(python, [join(checks, 'python_clients.py'), url]),
];
await stop();
rmSync(dataDir, { recursive: true, force: true });

const rows = verdicts.map(({ client, call, verdict }) => `| ${client} | ${call} | ${verdict} |`);
const matrix = ['| client | call | verdict |', '|---|---|---|', ...rows].join('\n');
writeFileSync(integrationsPath, withSection(readFileSync(integrationsPath, 'utf8'), 'verdicts', matrix));
process.stdout.write(`${matrix}\n`);
for (const { client, call, reason } of verdicts) if (reason !== undefined) process.stderr.write(`${client}, ${call}: ${reason}\n`);
process.exitCode = verdicts.every(({ verdict }) => verdict === 'works') ? 0 : 1;
