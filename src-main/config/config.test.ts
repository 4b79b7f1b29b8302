import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { loadConfig, optionsSchema, usage } from './config.ts';

const root = resolve('/studio');

test('without arguments: every network, port 8004, images beside start.sh, the rest in data', () => {
  expect(loadConfig([], {}, root)).toEqual({
    host: '0.0.0.0',
    port: 8004,
    open: false,
    requireKey: false,
    allowHosts: [],
    allowOrigins: [],
    dataDir: join(root, 'data'),
    outputsDir: join(root, 'outputs'),
    fixedSettings: [],
    hub: {
      endpoint: 'https://huggingface.co',
      token: null,
      isOffline: false,
      cacheDir: join(homedir(), '.cache/huggingface/hub'),
      proxies: { http: '', https: '', none: '' },
    },
    wheelIndex: null,
    checkpointDirs: [],
    device: 'auto',
    accuracy: 'fast',
    memory: 'auto',
    binding: 'auto',
    priority: null,
    logLevel: 'info',
    newKey: false,
    help: false,
    notices: [],
  });
});

test('a data folder holds the images too', () => {
  const config = loadConfig(['--data-dir', '/d'], {}, root);
  expect([config.dataDir, config.outputsDir]).toEqual([resolve('/d'), resolve('/d/outputs')]);
});

test('a folder for images goes before both and cannot be changed while the program runs', () => {
  const config = loadConfig(['--data-dir', '/d', '--outputs-dir', '/images'], {}, root);
  expect([config.dataDir, config.outputsDir, config.fixedSettings]).toEqual([resolve('/d'), resolve('/images'), ['outputs_folder']]);
});

test('lists are gathered, host names lowered, origins written as a browser writes them', () => {
  const config = loadConfig(
    ['--allow-host', 'Studio.Example', '--allow-host=b', '--allow-origin', 'HTTPS://Example.org:443/', '--allow-origin', 'http://a:3000', '--checkpoint', '/c'],
    {},
    root,
  );
  expect(config.allowHosts).toEqual(['studio.example', 'b']);
  expect(config.allowOrigins).toEqual(['https://example.org', 'http://a:3000']);
  expect(config.checkpointDirs).toEqual([resolve('/c')]);
});

test('the environment fills what the command line leaves open', () => {
  const env = { ZIMAGE_PORT: '9000', ZIMAGE_HOST: '127.0.0.1', ZIMAGE_OPEN: '1', ZIMAGE_ALLOW_HOST: 'a, b', ZIMAGE_DEVICE: '' };
  const config = loadConfig(['--port', '0'], env, root);
  expect([config.port, config.host, config.open, config.allowHosts, config.device]).toEqual([0, '127.0.0.1', true, ['a', 'b'], 'auto']);
});

test('where models come from and go to is read from the variables of Hugging Face and of proxies', () => {
  const env = {
    HF_ENDPOINT: 'https://mirror.example/',
    HF_TOKEN: ' hf_x ',
    HF_HOME: '/h',
    https_proxy: 'http://p:1',
    HTTPS_PROXY: 'http://q:1',
    NO_PROXY: 'a,b',
  };
  expect(loadConfig([], env, root).hub).toEqual({
    endpoint: 'https://mirror.example',
    token: 'hf_x',
    isOffline: false,
    cacheDir: join('/h', 'hub'),
    proxies: { http: '', https: 'http://p:1', none: 'a,b' },
  });
  expect(loadConfig([], { HF_HUB_CACHE: '/c', HF_HOME: '/h' }, root).hub.cacheDir).toBe('/c');
  expect(loadConfig([], { XDG_CACHE_HOME: '/x' }, root).hub.cacheDir).toBe(join('/x', 'huggingface', 'hub'));
  expect(['1', 'True', 'yes', '0', ''].map((value) => loadConfig([], { HF_HUB_OFFLINE: value }, root).hub.isOffline)).toEqual([true, true, true, false, false]);
});

test('the token of `hf auth login` is found in HF_HOME or under its own path; HF_TOKEN wins', () => {
  const home = mkdtempSync(join(tmpdir(), 'hf-home-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const token = (env: Record<string, string>) => loadConfig([], env, root).hub.token;
  expect(token({ HF_HOME: home })).toBeNull();
  writeFileSync(join(home, 'token'), 'hf_logged_in\n');
  writeFileSync(join(home, 'other'), 'hf_other');
  expect(token({ HF_HOME: home })).toBe('hf_logged_in');
  expect(token({ HF_HOME: home, HF_TOKEN_PATH: join(home, 'other') })).toBe('hf_other');
  expect(token({ HF_HOME: home, HF_TOKEN: 'hf_x' })).toBe('hf_x');
});

test('what was read cannot be changed', () => {
  const config = loadConfig(['--allow-host', 'a'], {}, root);
  expect(Object.isFrozen(config) && Object.isFrozen(config.allowHosts)).toBe(true);
});

test.for([
  [['--port', '65536'], '--port', '65535'],
  [['--port', '-1'], '--port', ''],
  [['--port', '80.5'], '--port', '65535'],
  [['--port', ''], '--port', '65535'],
  [['--wheel-index', 'pypi'], '--wheel-index', 'the address of a Python package index'],
  [['--port', '1e3'], '--port', '65535'],
  [['--device', 'gpu'], '--device', 'auto, cpu, cuda, webgpu'],
  [['--accuracy', 'best'], '--accuracy', 'exact, fast'],
  [['--memory', 'little'], '--memory', 'auto, resident, text_freed, text_on_cpu, in_turn, denoiser_alone'],
  [['--binding', 'wasm'], '--binding', 'auto, c-api, node'],
  [['--priority', 'high'], '--priority', 'normal, low'],
  [['--log-level', 'loud'], '--log-level', 'debug'],
  [['--allow-origin', '*'], '--allow-origin', 'https://example.org'],
  [['--allow-origin', 'https://a.org/x'], '--allow-origin', 'without a path'],
  [['--allow-origin', 'null'], '--allow-origin', 'https://example.org'],
  [['--allow-origin', 'ftp://a.org'], '--allow-origin', 'https://example.org'],
  [['--allow-host', 'a:8004'], '--allow-host', 'without port'],
  [['--allow-host', '*'], '--allow-host', 'host name'],
  [['--data-dir', ''], '--data-dir', 'folder'],
  [['--host', 'a b'], '--host', 'address'],
  [['--prot', '80'], '--prot', '--prot'],
  [['--open=yes'], '--open', '--open'],
  [['extra'], 'extra', 'extra'],
  [['--port'], '--port', '--port'],
] as const)('%j is refused by name', ([argv, option, word]) => {
  const thrown = catchError(() => loadConfig(argv, {}, root));
  expect(thrown.code).toBe('bad_option');
  expect(thrown.data).toEqual({ option });
  expect(thrown.message).toContain(word);
  expect(thrown.message).not.toContain('\n');
});

test('the sentence names the value that was met', () => {
  expect(catchError(() => loadConfig(['--device', 'gpu'], {}, root)).message).toContain('--device "gpu"');
  expect(catchError(() => loadConfig(['--allow-host', 'ok', '--allow-host', 'a:1'], {}, root)).message).toContain('--allow-host "a:1"');
});

test.for([
  [{ ZIMAGE_OPEN: 'perhaps' }, 'ZIMAGE_OPEN', '"perhaps"'],
  [{ ZIMAGE_PORT: 'abc' }, 'ZIMAGE_PORT', '"abc"'],
  [{ ZIMAGE_DEVICE: 'gpu' }, 'ZIMAGE_DEVICE', 'auto, cpu, cuda'],
  [{ ZIMAGE_ALLOW_ORIGIN: 'https://a, b' }, 'ZIMAGE_ALLOW_ORIGIN', '"b"'],
  [{ ZIMAGE_DATA_DIR: '$NOWHERE/data' }, 'NOWHERE', '$NOWHERE/data'],
] as const)('%j: the sentence names the variable, not an option', ([env, variable, word]) => {
  const { code, data, message } = catchError(() => loadConfig([], env, root));
  expect([code, data]).toEqual(['bad_option', { option: variable }]);
  expect(message).toContain(variable);
  expect(message).toContain(word);
  expect(message).not.toContain('--port');
});

test('an option on the command line hides a wrong variable', () => {
  expect(loadConfig(['--port', '0'], { ZIMAGE_PORT: 'abc' }, root).port).toBe(0);
});

test('blanks and line ends around values are no part of them', () => {
  const env = { ZIMAGE_PORT: '9000\r', ZIMAGE_DATA_DIR: ' /d \r\n', ZIMAGE_OPEN: 'true\r', ZIMAGE_HOST: '127.0.0.1 ', HF_HOME: '/h\r', HTTPS_PROXY: ' p:1\r' };
  const { port, dataDir, open, host, hub } = loadConfig([], env, root);
  expect([port, dataDir, open, host]).toEqual([9000, resolve('/d'), true, '127.0.0.1']);
  expect([hub.cacheDir, hub.proxies.https]).toEqual([join('/h', 'hub'), 'p:1']);
});

test.for(['1', 'true', 'YES', 'on'])('a switch is on with %s', (value) => {
  expect(loadConfig([], { ZIMAGE_OPEN: value }, root).open).toBe(true);
});

test('the port that Kubernetes announces for a service named zimage is not ours', () => {
  const { port, notices } = loadConfig([], { ZIMAGE_PORT: 'tcp://10.0.0.1:8004', ZIMAGE_SERVICE_HOST: '10.0.0.1', ZIMAGE_PORT_8004_TCP_PROTO: 'tcp' }, root);
  expect(port).toBe(8004);
  expect(notices).toEqual([expect.stringContaining('ZIMAGE_PORT is tcp://10.0.0.1:8004')]);
});

test('what only one feature needs does not stop the start', () => {
  const { wheelIndex, hub } = loadConfig([], { ZIMAGE_WHEEL_INDEX: 'pypi', HF_ENDPOINT: 'nowhere', HTTPS_PROXY: 'gopher://x' }, root);
  expect(wheelIndex).toMatchObject({ code: 'bad_option', message: expect.stringContaining('ZIMAGE_WHEEL_INDEX is "pypi"') });
  expect([hub.endpoint, hub.proxies.https]).toEqual(['nowhere', 'gopher://x']);
});

test('variables of options that a command does not use are not read', () => {
  expect(loadConfig([], { ZIMAGE_PORT: 'abc', ZIMAGE_DEVICE: 'cpu' }, root, ['device'])).toMatchObject({ port: 8004, device: 'cpu' });
});

test('~ and variables in folders are replaced as in a shell', () => {
  const env = { HOME: '/home-of-a', DISK: '/mnt/b', ZIMAGE_DATA_DIR: '~/data', HF_HOME: '${DISK}/hf' };
  const config = loadConfig(['--outputs-dir', '$DISK/images', '--checkpoint', '~'], env, root);
  expect(config).toMatchObject({ dataDir: '/home-of-a/data', outputsDir: '/mnt/b/images', checkpointDirs: ['/home-of-a'] });
  expect(config.hub.cacheDir).toBe('/mnt/b/hf/hub');
  expect(loadConfig(['--data-dir', '/a~b/~'], env, root).dataDir).toBe('/a~b/~');
});

test('a folder of Hugging Face that cannot be understood is ignored with a notice', () => {
  const { hub, notices } = loadConfig([], { HOME: '/h', HF_HOME: '$NOWHERE/hf' }, root);
  expect(hub.cacheDir).toBe('/h/.cache/huggingface/hub');
  expect(notices).toEqual([expect.stringMatching(/^HF_HOME is ignored: .*NOWHERE, which is not set/)]);
});

test('the usage text names every option', () => {
  for (const name of Object.keys(optionsSchema.shape)) expect(usage).toContain(`--${name} `);
});

function catchError(run: () => unknown): AppError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

test('a device of the command line is fixed; by other names of the same', () => {
  expect(loadConfig([], {})).toMatchObject({ device: 'auto', fixedSettings: [] });
  expect(loadConfig(['--device', 'directml:1'], {})).toMatchObject({ device: 'dml:1', fixedSettings: ['device'] });
  expect(loadConfig(['--device', 'cuda:01'], {})).toMatchObject({ device: 'cuda:1' });
  expect(() => loadConfig(['--device', 'cpu:1'], {})).toThrow(/--device "cpu:1".*auto, cpu, cuda/);
});

test('--require-key is an option of its own, and contradicts --open', () => {
  expect(loadConfig(['--require-key'], {}, '/srv/studio').requireKey).toBe(true);
  expect(loadConfig([], { ZIMAGE_REQUIRE_KEY: '1' }, '/srv/studio').requireKey).toBe(true);
  expect(() => loadConfig(['--require-key', '--open'], {}, '/srv/studio')).toThrow('contradict each other');
});
