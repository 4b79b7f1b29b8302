/**
 * Import rules: one complete block per room. A room's list is everything that it may import; anything else is an error named after the room.
 * A unit test follows its room's block, with the test packages and `tests/` added.
 */

const main = (...rooms) => rooms.map((room) => `^src-main/${room}${room.endsWith('.ts') ? '$' : '/'}`);
const packages = (...names) => names.map((name) => `(^|/)node_modules/(@types/)?${name}/`);

const SHARED = '^src-shared/';
const TEST_FILE = '\\.test\\.tsx?$';
const TEST_TOOLS = ['^tests/', ...packages('vitest', 'fast-check', 'sharp')];

/**
 * @param {string} name The room, and the name of its rule.
 * @param {string} from Its files.
 * @param {string[]} mayImport Everything it may import besides itself.
 * @param {{ node: boolean }} platform Whether Node's built-in modules are allowed.
 */
function room(name, from, mayImport, { node }) {
  const to = (allowed) => ({ pathNot: allowed, ...(node ? { dependencyTypesNot: ['core'] } : {}) });
  const allowed = [from, ...mayImport];
  const comment = `${name} may import only: ${allowed.join('  ')}`;
  return [
    { name, comment, severity: 'error', from: { path: from, pathNot: [TEST_FILE] }, to: to(allowed) },
    {
      name: `${name}-tests`,
      comment,
      severity: 'error',
      from: { path: `${from}.*${TEST_FILE}` },
      to: { pathNot: [...allowed, ...TEST_TOOLS], dependencyTypesNot: ['core'] },
    },
  ];
}

const NODE = { node: true };

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...room('shared', SHARED, packages('zod'), { node: false }),
    ...room(
      'renderer',
      '^src-renderer/',
      [
        SHARED,
        '^THIRD-PARTY\\.md$',
        '^docs/images/',
        '(^|/)node_modules/(?!electron/|electron-updater/|fastify/|@fastify/|onnxruntime-node/|koffi/|sharp/|ws/|pino/|@photostructure/)',
      ],
      {
        node: false,
      },
    ),
    ...room('config', '^src-main/config/', [SHARED, ...main('lib'), ...packages('zod')], NODE),
    ...room('lib', '^src-main/lib/', [SHARED, ...packages('zod')], NODE),
    ...room('compiler', '^src-main/compiler/', [SHARED, ...main('lib'), ...packages('zod')], NODE),
    ...room(
      'inference',
      '^src-main/inference/',
      [
        SHARED,
        ...main('lib', 'config/library-folders.ts'),
        ...packages('zod', '@huggingface/tokenizers', '@huggingface/jinja', 'onnxruntime-node', 'onnxruntime-common', 'koffi'),
      ],
      NODE,
    ),
    ...room('provenance', '^src-main/provenance/', [SHARED, ...main('lib')], NODE),
    ...room(
      'engine',
      '^src-main/engine/',
      [SHARED, ...main('lib', 'inference', 'compiler', 'provenance', 'config/visible-cuda-devices.ts'), ...packages('zod')],
      NODE,
    ),
    ...room('downloads', '^src-main/downloads/', [SHARED, ...main('lib'), ...packages('undici')], NODE),
    ...room('models', '^src-main/models/', [SHARED, ...main('lib', 'downloads'), ...packages('zod')], NODE),
    ...room('cuda-pack', '^src-main/cuda-pack/', [SHARED, ...main('lib', 'downloads'), ...packages('zod', 'yauzl')], NODE),
    ...room(
      'jobs',
      '^src-main/jobs/',
      [SHARED, ...main('lib', 'provenance', 'settings', 'engine/engine.ts', 'models/checkpoint.ts'), ...packages('zod', '@photostructure/sqlite')],
      NODE,
    ),
    ...room('settings', '^src-main/settings/', [SHARED, ...main('lib'), ...packages('zod')], NODE),
    ...room('images', '^src-main/images/', [SHARED, ...main('lib', 'provenance'), ...packages('sharp', 'tinypool')], NODE),
    ...room(
      'server',
      '^src-main/server/',
      [
        SHARED,
        '^clients/js/',
        ...main('lib', 'config', 'jobs', 'provenance', 'models', 'cuda-pack/cuda-pack.ts', 'images/images.ts', 'images/uploads.ts', 'engine/engine.ts'),
        ...packages('zod', 'fastify', '@fastify/[^/]+', 'fastify-type-provider-zod', 'openapi-types', 'pino', 'ws', '@modelcontextprotocol/server'),
      ],
      NODE,
    ),
    ...room('app', '^src-main/app/', [SHARED, ...main('lib', 'config', 'studio/hosted-studio.ts'), ...packages('zod', 'electron', 'electron-updater')], NODE),
    // these two compose the rooms
    ...room('studio', '^src-main/studio/', [SHARED, ...main('(?!app|cli)[a-z-]+'), ...packages('zod', 'ws')], NODE),
    ...room('cli', '^src-main/cli/', [SHARED, '^clients/js/', ...main('(?!app)[a-z-]+'), ...packages('zod', 'ws', '@modelcontextprotocol/server')], NODE),

    {
      name: 'only-app-imports-electron',
      comment: 'Everything but the desktop shell runs under plain Node.',
      severity: 'error',
      from: { path: '^src-', pathNot: ['^src-main/app/', '^src-main/index\\.ts$'] },
      to: { path: packages('electron', 'electron-updater') },
    },
    {
      name: 'only-the-bindings-import-onnxruntime',
      comment: 'Only two files call the runtime: src-main/inference/ort-node.ts through its package, ort-api.ts through its C API.',
      severity: 'error',
      from: { path: '^src-', pathNot: ['^src-main/inference/ort-node\\.ts$'] },
      to: { path: packages('onnxruntime-node', 'onnxruntime-common') },
    },
    {
      name: 'only-ort-api-imports-koffi',
      comment: 'Native calls without type checks stay in src-main/inference/ort-api.ts.',
      severity: 'error',
      from: { path: '^src-', pathNot: ['^src-main/inference/ort-api\\.ts$'] },
      to: { path: packages('koffi') },
    },
    {
      name: 'only-sqlite-imports-the-binding',
      comment: 'src-main/jobs/store/sqlite.ts picks the binding that the runtime has.',
      severity: 'error',
      from: { path: '^src-', pathNot: ['^src-main/jobs/store/sqlite\\.ts$'] },
      to: { path: [...packages('@photostructure/sqlite'), '^(node:)?sqlite$'] },
    },
    {
      name: 'only-types-of-sharp',
      comment: 'src-main/images/load-sharp.ts picks the build that works in this runtime; an import would load the native one.',
      severity: 'error',
      from: { path: '^src-', pathNot: [TEST_FILE] },
      to: { path: packages('sharp'), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-import-of-entries',
      comment: 'Entry points of processes; nothing imports them.',
      severity: 'error',
      from: {},
      to: { path: '^src-main/(index|headless|cli/main|cli/zimage)\\.ts$' },
    },
    {
      name: 'no-import-of-tests',
      comment: 'Code that both a test and the product need does not belong in a test.',
      severity: 'error',
      from: { path: '^src-', pathNot: [TEST_FILE] },
      to: { path: [TEST_FILE, '^tests/'] },
    },
    {
      name: 'no-cycle',
      comment: 'Files must not import each other in a cycle, except for types. Merge them, or move the shared part to a third file.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'renderer-no-type-cycle',
      comment: 'State and dependencies of the store have separate types, so that slices do not import each other.',
      severity: 'error',
      from: { path: '^src-renderer/' },
      to: { circular: true },
    },
    { name: 'no-unresolvable', comment: 'The import does not resolve.', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependency',
      comment: 'The package contains only dependencies, so everything that src-main imports must be one of them.',
      severity: 'error',
      from: { path: '^src-(main|shared)/', pathNot: [TEST_FILE] },
      to: { dependencyTypes: ['npm-dev'], pathNot: packages('electron') },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.json', '.css'],
      exportsFields: ['exports'],
      conditionNames: ['node', 'import', 'types', 'default'],
    },
  },
};
