import { copyFile, cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { childrenOf } from '../tests/support/children-of.ts';
import { paramsOf } from './harness/bench-engine.ts';
import { builtProgram } from './harness/built-program.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { JobClient } from './harness/job-client.ts';
import { startPeerServer } from './harness/peer-server.ts';
import { anonymousBytes, peakBytes, proportionalBytes } from './harness/process-memory.ts';
import { writeRandomTextEncoder, writeRandomTransformer, writeRandomVae } from './harness/random-checkpoint.ts';
import { publish } from './harness/results.ts';
import type { Row } from './harness/row.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';
import { PEER_FORMS, type PeerForm } from './harness/torch-peer.ts';

/** About a quarter of the real model: large compared with the program itself, small enough for the peer in float32 on a machine with 16 GB. */
const LAYERS = { transformer: 8, text: 8 };
/** Small, so that the weights dominate. */
const IMAGE = { prompt: 'an orange cat on a beach', sidePx: 256, steps: 2 };

interface Memory {
  /** All processes together, after the first image. */
  steadyBytes: number;
  anonymousBytes: number;
}

interface PeerMemory extends Memory {
  form: PeerForm;
  /** Time of the second image. */
  imageMs: number;
}

interface OwnMemory extends Memory {
  /** Peak of the engine's process, from its start to the first image. */
  peakBytes: number;
}

/** Memory while a checkpoint of the real width is compiled and loaded, and after its first image: server and engine together, beside FastAPI with diffusers and sdnq. */
export async function compareMemory(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const checkpointDir = join(folder, 'checkpoint');
    const fileBytes = await writeCheckpoint(checkpointDir);
    const largestFile = { name: 'largest file', series: [Math.max(...fileBytes)] };
    const allFiles = { name: 'all files', series: [fileBytes.reduce((sum, bytes) => sum + bytes, 0)] };
    const dataDir = join(folder, 'data');
    const compiling = await ours(checkpointDir, dataDir, 'in_turn', 1);
    const inTurn = await ours(checkpointDir, dataDir, 'in_turn', 2);
    const resident = await ours(checkpointDir, dataDir, 'resident', 3);
    const peers: PeerMemory[] = [];
    for (const form of PEER_FORMS) peers.push(await theirs(checkpointDir, form, folder));
    const [fastest] = peers.toSorted((a, b) => a.imageMs - b.imageMs);
    if (fastest === undefined) throw new Error('the peer has no form to start in');
    const steady = (label: string, memory: OwnMemory): Row => ({
      label: `server and engine after the first image, ${label}`,
      unit: 'bytes',
      ours: [memory.steadyBytes],
      peer: { name: `${fastest.form.name}, its fastest form`, series: [fastest.steadyBytes] },
      must: 0.6,
      goal: 0.4,
      note: `without mapped files ${megabytes(memory.anonymousBytes)}`,
    });
    const peak = (label: string, { peakBytes }: OwnMemory, peer: Row['peer']): Row => ({
      label: `engine at its peak, ${label}`,
      unit: 'bytes',
      ours: [peakBytes],
      peer,
      must: 1.15,
      goal: 0.3,
    });
    await publish({
      name: 'memory',
      what: `memory with ${LAYERS.transformer} layers of the transformer and ${LAYERS.text} of the text encoder in the real width, uint4 with SVD, random weights`,
      rows: [
        peak('one graph at a time, being compiled', compiling, largestFile),
        peak('one graph at a time, already compiled', inTurn, largestFile),
        peak('all graphs loaded', resident, allFiles),
        steady('one graph at a time', inTurn),
        { ...steady('all graphs loaded', resident), note: [resident, ...peers].map(describeMemory).join('; ') },
      ],
    });
  });
}

/** Writes the checkpoint and returns the sizes of its files. */
async function writeCheckpoint(dir: string): Promise<number[]> {
  const pattern = join(resourcesDir, 'models/storybook-uint4');
  await mkdir(dir);
  await copyFile(join(pattern, 'model_index.json'), join(dir, 'model_index.json'));
  for (const part of ['scheduler', 'tokenizer']) await cp(join(pattern, part), join(dir, part), { recursive: true });
  const parts = [
    await writeRandomTransformer(dir, 'uint4', LAYERS.transformer),
    await writeRandomTextEncoder(dir, 'uint4', LAYERS.text),
    await writeRandomVae(dir),
  ];
  const files = (await Promise.all(parts.map(async (part) => (await readdir(part)).map((name) => join(part, name))))).flat();
  return Promise.all(files.map(async (file) => (await stat(file)).size));
}

async function ours(checkpointDir: string, dataDir: string, memory: 'resident' | 'in_turn', seed: number): Promise<OwnMemory> {
  await forgetJobs(dataDir);
  const args = ['--checkpoint', checkpointDir, '--device', 'cpu', '--memory', memory];
  const server = await HeadlessServer.start(dataDir, { entry: builtProgram(), args });
  try {
    await generate(server.url, seed);
    const engines = childrenOf(server.pid);
    return { ...memoryOf([server.pid, ...engines]), peakBytes: Math.max(...engines.map(peakBytes)) };
  } finally {
    await server.stop();
  }
}

/** Otherwise the next server would continue the last one's upscale. */
async function forgetJobs(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  for (const name of await readdir(dataDir)) if (name.startsWith('jobs.db')) await rm(join(dataDir, name));
}

async function theirs(checkpointDir: string, form: PeerForm, outputsDir: string): Promise<PeerMemory> {
  const server = await startPeerServer(checkpointDir, form, outputsDir);
  try {
    await generate(server.url, 1);
    const memory = memoryOf([server.pid]);
    return { ...memory, form, imageMs: await generate(server.url, 2) };
  } finally {
    await server.stop();
  }
}

/** Milliseconds until the image was generated. */
async function generate(url: string, seed: number): Promise<number> {
  const client = await JobClient.connect(url);
  const [times] = await client.draw([paramsOf({ ...IMAGE, seed })], 'generated');
  await client.close();
  return times?.generatedMs ?? Number.NaN;
}

function memoryOf(pids: readonly number[]): Memory {
  const sum = (read: (pid: number) => number) => pids.reduce((total, pid) => total + read(pid), 0);
  return { steadyBytes: sum(proportionalBytes), anonymousBytes: sum(anonymousBytes) };
}

function describeMemory({ form, steadyBytes, anonymousBytes: own }: Memory & { form?: PeerForm }): string {
  return `${form === undefined ? 'ours' : form.name} ${megabytes(steadyBytes)}, without mapped files ${megabytes(own)}`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
