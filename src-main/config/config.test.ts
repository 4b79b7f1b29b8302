import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { loadConfig, usage } from './config.ts';

const root = resolve('/studio');

test('without arguments: every network, port 8004, pictures beside start.sh, the rest in data', () => {
  expect(loadConfig([], {}, root)).toEqual({
    host: '0.0.0.0',
    port: 8004,
    open: false,
    allowHosts: [],
    allowOrigins: [],
    dataDir: join(root, 'data'),
    outputsDir: join(root, 'outputs'),
    fixedSettings: [],
    hub: {
      endpoint: 'https://huggingface.co',
      token: null,
      cacheDir: join(homedir(), '.cache/huggingface/hub'),
      proxies: { http: '', https: '', none: '' },
    },
    wheelIndex: null,
    checkpointDirs: [],
    device: 'auto',
    accuracy: 'fast',
    memory: 'auto',
    binding: 'auto',
    logLevel: 'info',
    newKey: false,
    help: false,
  });
});

test('a data folder holds the pictures too', () => {
  const config = loadConfig(['--data-dir', '/d'], {}, root);
  expect([config.dataDir, config.outputsDir]).toEqual([resolve('/d'), resolve('/d/outputs')]);
});

test('a folder for pictures alone goes before both and cannot be changed while the program runs', () => {
  const config = loadConfig(['--data-dir', '/d', '--outputs-dir', '/pictures'], {}, root);
  expect([config.dataDir, config.outputsDir, config.fixedSettings]).toEqual([resolve('/d'), resolve('/pictures'), ['outputs_folder']]);
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
    cacheDir: join('/h', 'hub'),
    proxies: { http: '', https: 'http://p:1', none: 'a,b' },
  });
  expect(loadConfig([], { HF_HUB_CACHE: '/c', HF_HOME: '/h' }, root).hub.cacheDir).toBe('/c');
  expect(loadConfig([], { XDG_CACHE_HOME: '/x' }, root).hub.cacheDir).toBe(join('/x', 'huggingface', 'hub'));
  for (const wrong of ['huggingface.co', 'ftp://a', 'https://user@a', 'https://a/?x=1']) {
    expect(catchError(() => loadConfig([], { HF_ENDPOINT: wrong }, root)).message).toContain(JSON.stringify(wrong));
  }
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

test('a wrong switch in the environment is named', () => {
  expect(catchError(() => loadConfig([], { ZIMAGE_OPEN: 'yes' }, root)).message).toContain('ZIMAGE_OPEN');
});

test('the usage text names every option', () => {
  for (const name of [
    'host',
    'port',
    'data-dir',
    'outputs-dir',
    'open',
    'allow-host',
    'allow-origin',
    'checkpoint',
    'device',
    'accuracy',
    'memory',
    'binding',
    'log-level',
    'new-key',
    'help',
  ]) {
    expect(usage).toContain(`--${name} `);
  }
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
