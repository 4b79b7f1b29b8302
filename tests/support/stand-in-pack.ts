import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { PackArchive, PackPlan } from '#main/cuda-pack/pack-plan.ts';
import { zipBytes } from './zip-bytes.ts';

/** A small CUDA pack with the structure of the real one, and a server for it: a package index and the vendors' sites in one. */

export const ORT_VERSION = '9.9.9';
export const PROVIDER = 'libonnxruntime_providers_cuda.so';
const SHARED = 'libonnxruntime_providers_shared.so';

export interface StandInPack {
  plan: PackPlan;
  /** The files that the pack's folder must contain in the end, except the manifest. */
  files: ReadonlyMap<string, Buffer>;
  /** By their path on the server. */
  served: ReadonlyMap<string, Buffer>;
}

export interface StandInOptions {
  providerBytes?: number;
  /** The version inside the provider library. */
  providerVersion?: string;
  /** The pack's version of ONNX Runtime. */
  onnxruntime?: string;
}

interface Content {
  shared: Buffer;
  provider: Buffer;
  cublas: Buffer;
  cublasLt: Buffer;
  ortText: Buffer;
  cublasText: Buffer;
}

interface Served {
  path: string;
  bytes: Buffer;
  archive: PackArchive;
}

/**
 * @param source Wheels, or the vendors' releases, made with the system's tar.
 * @param copied Replaces the library of onnxruntime-node.
 */
export function makeStandInPack(
  source: 'wheels' | 'releases',
  copied: Buffer,
  { providerBytes = 3_000_000, providerVersion = ORT_VERSION, onnxruntime = ORT_VERSION }: StandInOptions = {},
): StandInPack {
  const content: Content = {
    shared: noise(1000, 5),
    provider: Buffer.concat([noise(providerBytes, 1), Buffer.from(`\0${providerVersion}\0`), noise(1000, 2)]),
    cublas: Buffer.alloc(400_000, 'cuBLAS '),
    cublasLt: noise(300_000, 3),
    ortText: Buffer.from('MIT License'),
    cublasText: Buffer.from('NVIDIA Software License Agreement'),
  };
  const archives = source === 'wheels' ? wheelsOf(content) : releasesOf(content);
  const files = new Map([
    [SHARED, content.shared],
    [PROVIDER, content.provider],
    ['libcublas.so.13', content.cublas],
    ['libcublasLt.so.13', content.cublasLt],
    ['LICENSE-onnxruntime.txt', content.ortText],
    ['LICENSE-cublas.txt', content.cublasText],
    ['libonnxruntime.so.1', copied],
  ]);
  const plan: PackPlan = {
    version: `${onnxruntime}-cuda1`,
    onnxruntime,
    archives: archives.map(({ archive }) => archive),
    copied: 'libonnxruntime.so.1',
    provider: PROVIDER,
    installedBytes: [...files.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
  return { plan, files, served: new Map(archives.map(({ path, bytes }) => [path, bytes])) };
}

function wheelsOf({ shared, provider, cublas, cublasLt, ortText, cublasText }: Content): Served[] {
  const ort = zipBytes(
    new Map([
      ['onnxruntime/LICENSE', ortText],
      ['onnxruntime/capi/__init__.py', Buffer.from('')],
      [`onnxruntime/capi/${PROVIDER}`, provider],
      [`onnxruntime/capi/${SHARED}`, shared],
    ]),
  );
  const nvidia = zipBytes(
    new Map([
      ['nvidia/cu13/lib/libcublas.so.13', cublas],
      ['nvidia/cu13/lib/libcublasLt.so.13', cublasLt],
      ['nvidia_cublas-1.dist-info/licenses/License.txt', cublasText],
    ]),
  );
  return [
    { path: '/files/ort-9.whl', bytes: ort, archive: archiveOf('ort-9.whl', 'zip', ort, { project: 'onnxruntime-gpu' }, ortFiles) },
    { path: '/files/cublas-1.whl', bytes: nvidia, archive: archiveOf('cublas-1.whl', 'zip', nvidia, { project: 'nvidia-cublas' }, cublasFiles('License.txt')) },
  ];
}

function releasesOf({ shared, provider, cublas, cublasLt, ortText, cublasText }: Content): Served[] {
  const ort = tarBytes('gz', {
    [`onnxruntime-linux/lib/${PROVIDER}`]: provider,
    [`onnxruntime-linux/lib/${SHARED}`]: shared,
    'onnxruntime-linux/LICENSE': ortText,
  });
  const nvidia = tarBytes('xz', {
    'libcublas-archive/lib/libcublas.so.13.2.1.1': cublas,
    'libcublas-archive/lib/libcublas.so.13': 'libcublas.so.13.2.1.1',
    'libcublas-archive/lib/libcublas_static.a': noise(100_000, 4),
    'libcublas-archive/lib/libcublasLt.so.13': 'libcublasLt.so.13.2.1.1',
    'libcublas-archive/lib/libcublasLt.so.13.2.1.1': cublasLt,
    'libcublas-archive/LICENSE': cublasText,
  });
  const [ortPath, nvidiaPath] = ['v9/ort.tgz', 'libcublas/cublas.tar.xz'];
  const ofOrt = archiveOf('ort.tgz', 'tar', ort, { vendor: 'onnxruntime', path: ortPath }, ortFiles);
  const ofNvidia = archiveOf('cublas.tar.xz', 'tar', nvidia, { vendor: 'cuda', path: nvidiaPath }, cublasFiles('LICENSE'));
  return [
    // no list contains the size of this one
    { path: `/ort/${ortPath}`, bytes: ort, archive: { ...ofOrt, sizeBytes: null } },
    { path: `/cuda/${nvidiaPath}`, bytes: nvidia, archive: ofNvidia },
  ];
}

const ortFiles: PackArchive['files'] = [
  { member: SHARED, name: SHARED },
  { member: PROVIDER, name: PROVIDER },
  { member: 'LICENSE', name: 'LICENSE-onnxruntime.txt' },
];

function cublasFiles(text: string): PackArchive['files'] {
  return [
    { member: 'libcublas.so.13', name: 'libcublas.so.13' },
    { member: 'libcublasLt.so.13', name: 'libcublasLt.so.13' },
    { member: text, name: 'LICENSE-cublas.txt' },
  ];
}

/** The fault of an answer with bytes of an archive. */
export type PackFault = 'flip' | 'cut' | 'missing';

export interface PackServer {
  origin: string;
  /** Which answer is wrong, by its path and the number of earlier answers for it. */
  fault: (path: string, count: number) => PackFault | null;
  /** Whether the index answers as HTML (PEP 503) or as JSON (PEP 691). */
  pages: 'html' | 'json';
  /** Replaces the hashes in the index. */
  toldHash: string | null;
  /** Bytes per second of each answer; null for no limit. */
  bytesPerSecond: number | null;
  /** Archive bytes passed to the system. */
  sentBytes: number;
  requests: number;
  close(): Promise<void>;
}

const projects: Readonly<Record<string, string>> = { 'onnxruntime-gpu': 'ort-9.whl', 'nvidia-cublas': 'cublas-1.whl' };

export async function startPackServer(served: ReadonlyMap<string, Buffer>): Promise<PackServer> {
  const counts = new Map<string, number>();
  const http = createServer((request, response) => {
    server.requests++;
    const path = request.url ?? '';
    const project = /^\/simple\/([\w-]+)\/$/.exec(path)?.[1];
    const name = project === undefined ? undefined : projects[project];
    if (name !== undefined) {
      const sha256 = server.toldHash ?? sha256Of(served.get(`/files/${name}`) ?? Buffer.of());
      const [type, text] =
        server.pages === 'json'
          ? ['application/vnd.pypi.simple.v1+json', JSON.stringify({ files: [{ filename: name, url: `../../files/${name}`, hashes: { sha256 } }] })]
          : [
              'text/html',
              `<!doctype html><a href="/files/other.whl#sha256=00">other</a><a data-x="1" href="../../files/${name}?a=1&amp;b=2#sha256=${sha256}">${name}</a>`,
            ];
      response.writeHead(200, { 'content-type': type }).end(text);
      return;
    }
    const place = path.split('?')[0] ?? '';
    const bytes = served.get(place);
    const count = counts.get(place) ?? 0;
    counts.set(place, count + 1);
    const fault = server.fault(place, count);
    if (bytes === undefined || fault === 'missing') {
      response.writeHead(404).end();
      return;
    }
    const [, first = '0', last = String(bytes.byteLength - 1)] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const body = Buffer.from(bytes.subarray(Number(first), Number(last) + 1));
    if (fault === 'flip') body[0] = (body[0] ?? 0) ^ 1;
    response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${bytes.byteLength}`, 'content-length': body.byteLength });
    if (fault === 'cut') {
      response.write(body.subarray(0, body.byteLength >> 1), () => response.destroy());
    } else if (server.bytesPerSecond === null) {
      server.sentBytes += body.byteLength;
      response.end(body);
    } else {
      const pieceBytes = Math.ceil(server.bytesPerSecond / 50);
      let at = 0;
      const timer = setInterval(() => {
        const piece = body.subarray(at, at + pieceBytes);
        at += pieceBytes;
        server.sentBytes += piece.byteLength;
        response.write(piece);
        if (at < body.byteLength) return;
        clearInterval(timer);
        response.end();
      }, 20);
      response.on('close', () => clearInterval(timer));
    }
  });
  const server: PackServer = {
    origin: '',
    fault: () => null,
    pages: 'json',
    toldHash: null,
    bytesPerSecond: null,
    sentBytes: 0,
    requests: 0,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  server.origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return server;
}

function archiveOf(name: string, type: PackArchive['type'], bytes: Buffer, place: PackArchive['place'], files: PackArchive['files']): PackArchive {
  return { name, type, sha256: sha256Of(bytes), sizeBytes: bytes.byteLength, place, files };
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Determined by the seed, and not compressible. */
function noise(length: number, seed: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Made with the system's tar; a string is the target of a link. */
function tarBytes(packing: 'gz' | 'xz', files: Readonly<Record<string, Buffer | string>>): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'tar-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      const target = join(dir, 'in', path);
      mkdirSync(dirname(target), { recursive: true });
      if (typeof content === 'string') symlinkSync(content, target);
      else writeFileSync(target, content);
    }
    execFileSync('tar', ['-c', packing === 'gz' ? '-z' : '-J', '-f', join(dir, 'out.tar'), '-C', join(dir, 'in'), '.'], {
      env: { ...process.env, XZ_OPT: '-0' },
    });
    return readFileSync(join(dir, 'out.tar'));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
