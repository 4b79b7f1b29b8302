import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';

/** The program as `start.sh` runs it, built first if necessary. Returns its entry. */
export function builtProgram(): string {
  const prepare = 'set -euo pipefail; root=$1; source "$root/scripts/prepare.sh"; find_node; is_built || build';
  execFileSync('bash', ['-c', prepare, 'bash', programDir], { stdio: ['ignore', 'inherit', 'inherit'] });
  return join(programDir, 'out/main/headless.js');
}
