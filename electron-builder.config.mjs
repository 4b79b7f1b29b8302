/**
 * The packages: npm run dist -- --linux deb. The environment holds what differs per publisher:
 * ELECTRON_DIST and ELECTRON_VERSION, an Electron on disk; DIST_VERSION, a version other than that of package.json;
 * DIST_HOMEPAGE, the publisher's home page;
 * UPDATE_FEED_URL and UPDATE_PUBLIC_KEY, the feed of the built app and the key that signs it. Without them the app never looks for updates.
 */
import { existsSync } from 'node:fs';

const { ELECTRON_DIST: electronDist, ELECTRON_VERSION: electronVersion, DIST_VERSION: buildVersion, DIST_HOMEPAGE: homepage } = process.env;
const { UPDATE_FEED_URL: feedUrl, UPDATE_PUBLIC_KEY: feedKey } = process.env;
if (Boolean(feedUrl) !== Boolean(feedKey)) throw new Error('UPDATE_FEED_URL and UPDATE_PUBLIC_KEY go together: set both or neither.');

// the installed native modules are for this machine's processor
const arch = [process.arch];

// one build of sharp per package, the one that src-main/images/load-sharp.ts takes there
const otherSharp = process.platform === 'linux' ? 'sharp-{linux,linuxmusl,libvips}*' : 'sharp-wasm32';

/** Files of Linux packages that electron-builder has no option for. */
const linuxFiles = [
  'build/linux/z-image-turbo-studio.metainfo.xml=/usr/share/metainfo/z-image-turbo-studio.metainfo.xml',
  'build/linux/zimage=/usr/bin/zimage',
  'build/icon.svg=/usr/share/icons/hicolor/scalable/apps/z-image-turbo-studio.svg',
];

/**
 * The Visual C++ runtime, which ONNX Runtime needs and a new Windows lacks. The release copies it from Visual Studio's folder of redistributable files.
 * Beside the program for libraries of the CUDA pack, and beside ONNX Runtime, where the loader of Node.js modules looks.
 */
const runtimeDir = 'build/vc-runtime';
const runtimeTargets = ['.', 'resources/app.asar.unpacked/node_modules/onnxruntime-node/bin/napi-v6/win32/x64'];

/** @type {import('electron-builder').Configuration} */
export default {
  appId: 'z-image-turbo-studio',
  productName: 'Z-Image-Turbo Studio',
  copyright: 'Apache-2.0, Z-Image-Turbo Studio contributors',
  artifactName: '${name}-${version}-${os}-${arch}.${ext}',
  directories: { output: 'dist', buildResources: 'build' },
  ...(electronDist ? { electronDist } : {}),
  ...(electronVersion ? { electronVersion } : {}),
  extraMetadata: {
    // a package must name a home page
    homepage: homepage || 'https://example.invalid/',
    desktopName: 'z-image-turbo-studio.desktop',
    ...(buildVersion ? { version: buildVersion } : {}),
    ...(feedUrl ? { updates: { url: feedUrl, publicKey: feedKey } } : {}),
  },
  // every native module is Node-API and prebuilt
  npmRebuild: false,
  // the installed modules, and `${platform}` below, are for the system that builds
  beforePack: ({ electronPlatformName }) => {
    if (electronPlatformName !== process.platform)
      throw new Error(
        `A package for ${electronPlatformName} must be built on ${electronPlatformName}, and this is ${process.platform}: the installed native modules are for this system.`,
      );
    if (electronPlatformName === 'win32' && !existsSync(`${runtimeDir}/vcruntime140.dll`))
      throw new Error(`${runtimeDir} has no Visual C++ runtime: copy the DLLs of VC\\Redist\\MSVC\\VERSION\\x64\\Microsoft.VC*.CRT of Visual Studio there.`);
  },
  files: [
    'out/**',
    'package.json',
    'LICENSE',
    'THIRD-PARTY.md',
    '!out/zimage/**',
    '!**/*.map',
    '!**/*.{ts,mts,cts,c,cc,cpp,h,gyp,gypi}',
    '!**/node_modules/**/*.md',
    '!**/node_modules/**/{test,tests,docs,example,examples,.github}/**',
    '!**/node_modules/node-*-{x64,arm64}/**',
    '!**/node_modules/onnxruntime-node/{lib,script}/**',
    '!**/node_modules/onnxruntime-node/bin/napi-v6/!(${platform})/**',
    '!**/node_modules/onnxruntime-node/bin/napi-v6/${platform}/!(${arch})/**',
    '!**/node_modules/{onnxruntime-web,adm-zip,global-agent,node-addon-api}/**',
    '!**/node_modules/{zod,glob,fastify-type-provider-zod}/src/**',
    '!**/node_modules/**/{benchmark,benchmarks}/**',
    '!**/node_modules/yaml/browser/**',
    // src also contains its JavaScript
    '!**/node_modules/koffi/{doc,lib,vendor,src/koffi/src/abi}/**',
    '!**/node_modules/koffi/**/*.{hh,inc,def}',
    '!**/node_modules/@photostructure/sqlite/{src,vendor,scripts}/**',
    '!**/node_modules/@photostructure/sqlite/prebuilds/!(${platform}-${arch})/**',
    // Electron is built for glibc
    '!**/node_modules/@photostructure/sqlite/prebuilds/**/*.musl.node',
    '!**/node_modules/@koromix/**/musl_*/**',
    `!**/node_modules/@img/${otherSharp}/**`,
    '!**/node_modules/sharp/{src,install,lib}/**',
  ],
  // Chromium's own texts in the languages of the window
  electronLanguages: ['en-US', 'en-GB', 'zh-CN', 'zh-TW'],
  asar: true,
  // the system's loader cannot read archives, so shared libraries stay outside
  asarUnpack: [
    '**/node_modules/onnxruntime-node/bin/**',
    '**/node_modules/@koromix/**',
    '**/node_modules/@photostructure/sqlite/prebuilds/**',
    '**/node_modules/@img/sharp-*/**',
  ],
  // the command line is an executable of its own: docs/decisions/command-line.md
  extraResources: [
    { from: 'resources', to: 'app-resources' },
    { from: 'out/zimage/bin', to: 'bin' },
  ],
  electronFuses: {
    runAsNode: false,
    enableCookieEncryption: true,
    enableNodeOptionsEnvironmentVariable: false,
    enableNodeCliInspectArguments: false,
    enableEmbeddedAsarIntegrityValidation: true,
    onlyLoadAppFromAsar: true,
    loadBrowserProcessSpecificV8Snapshot: false,
    grantFileProtocolExtraPrivileges: false,
  },
  protocols: [{ name: 'Z-Image-Turbo Studio', schemes: ['zimage'] }],
  linux: {
    icon: 'build/icons',
    category: 'Graphics',
    maintainer: 'Z-Image-Turbo Studio contributors <nobody@example.invalid>',
    executableName: 'z-image-turbo-studio',
    syncDesktopName: true,
    synopsis: 'Text to image, generated on this machine',
    target: [
      { target: 'deb', arch },
      { target: 'AppImage', arch },
      { target: 'rpm', arch },
      { target: 'tar.gz', arch },
    ],
    mimeTypes: ['image/png'],
    desktop: {
      entry: {
        Name: 'Z-Image-Turbo Studio',
        'Name[zh_CN]': 'Z-Image-Turbo Studio',
        'Comment[zh_CN]': '在自己的电脑上用文字生成图片',
        Keywords: 'image;text;AI;',
        StartupWMClass: 'z-image-turbo-studio',
      },
    },
  },
  deb: {
    fpm: linuxFiles,
    packageCategory: 'graphics',
    priority: 'optional',
    depends: ['libgtk-3-0', 'libnss3', 'libatk-bridge2.0-0', 'libdrm2', 'libgbm1', 'libasound2 | libasound2t64'],
    recommends: ['libnotify4', 'xdg-utils'],
  },
  rpm: {
    // build-id links carry the names of Electron's programs: two packages with the same Electron would conflict
    fpm: ['--rpm-rpmbuild-define', '_build_id_links none', '--directories', '/opt/Z-Image-Turbo Studio', ...linuxFiles],
    afterRemove: 'build/linux/after-rpm-remove.tpl',
  },
  // its runtime includes FUSE, and its launcher keeps Chromium's sandbox on if the system supports it
  toolsets: { appimage: '1.0.3' },
  win: {
    icon: 'build/icon.ico',
    extraResources: [{ from: 'build/win/user-path.ps1', to: 'bin/user-path.ps1' }],
    extraFiles: runtimeTargets.map((to) => ({ from: runtimeDir, to, filter: ['*.dll'] })),
    target: [
      { target: 'nsis', arch },
      { target: 'zip', arch },
    ],
  },
  nsis: { artifactName: '${name}-${version}-setup-${arch}.${ext}', oneClick: true, perMachine: false, deleteAppDataOnUninstall: false },
  publish: feedUrl ? { provider: 'generic', url: feedUrl } : null,
  // the preview channel gets releases too
  generateUpdatesFilesForAllChannels: true,
};
