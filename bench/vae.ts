import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildVaeDecoder, loadVaeConfig, type VaeConfig } from '#main/compiler/models/vae.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { psnr } from '#main/parity/comparison.ts';
import { compiledSession } from './harness/compiled-session.ts';
import { writeRandomVae } from './harness/random-checkpoint.ts';
import { publishMore } from './harness/results.ts';
import { isWanted, ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { fastestForm, type PeerForm, readFloats, type TorchPeer, withTorchPeer } from './harness/torch-peer.ts';

const SIDES_PX = [512, 1024];
const FORMS: PeerForm[] = [
  { name: 'diffusers float32', options: { dtype: 'float32' } },
  { name: 'diffusers bfloat16', options: { dtype: 'bfloat16' } },
];

/**
 * The bundled VAE decoder and a random one of the real sizes, beside diffusers in the form that is fastest at the first size. Each row is written as soon
 * as it is measured, since a decode of the real sizes to 1024 x 1024 takes most of a minute and some gigabytes on each side.
 */
export async function compareVae(): Promise<void> {
  await withTorchPeer(async ({ peer, folder, threads }) => {
    const decoders = [
      { label: 'bundled', dir: join(resourcesDir, 'models/storybook-uint4/vae') },
      { label: 'Flux VAE sizes', dir: await writeRandomVae(folder) },
    ];
    for (const { label, dir } of decoders) {
      const wanted = SIDES_PX.map((sidePx) => ({ sidePx, label: `${label}, ${sidePx} x ${sidePx}` })).filter((row) => isWanted(row.label));
      const [smallest] = SIDES_PX;
      if (wanted.length === 0 || smallest === undefined) continue;
      const config = await loadVaeConfig(dir);
      const decoder: Decoder = { dir, config, folder, threads };
      const { latents, shape } = await writeLatents(decoder, smallest);
      const form = await fastestForm(peer, 'open_vae', { dir }, 'decode', { latents, shape }, FORMS);
      for (const row of wanted) {
        const compared = await compare({ ...row, decoder, form }, peer);
        await publishMore({ name: 'vae', what: 'latents decoded to an image, float32 in and out', versions: peer.versions, rows: [compared] });
      }
    }
  });
}

interface Decoder {
  dir: string;
  config: VaeConfig;
  /** For the files that both sides read. */
  folder: string;
  threads: number;
}

/** Random latents for an image size, [1, channels, height, width], written to a file. */
async function writeLatents({ config, folder }: Decoder, sidePx: number): Promise<{ latents: string; shape: number[]; data: Float32Array }> {
  const side = sidePx / config.scale;
  const data = torchRandn(3, config.latentChannels * side * side);
  const latents = join(folder, 'latents.f32');
  await writeFile(latents, new Uint8Array(data.buffer));
  return { latents, shape: [1, config.latentChannels, side, side], data };
}

async function compare({ label, sidePx, decoder, form }: { label: string; sidePx: number; decoder: Decoder; form: PeerForm }, peer: TorchPeer): Promise<Row> {
  const { dir, config, folder, threads } = decoder;
  const { latents, shape, data } = await writeLatents(decoder, sidePx);
  const request = { latents, shape, out: join(folder, 'decoded.f32') };

  await peer.ask('open_vae', { dir, dtype: 'float32' });
  await peer.ask('decode', request);
  const reference = eightBits(await readFloats(request.out));
  await peer.ask('open_vae', { dir, ...form.options });

  const session = await compiledSession({
    name: 'vae_decoder',
    dir,
    stem: 'diffusion_pytorch_model',
    target: 'cpu-fast',
    compiledDir: join(folder, label),
    threads,
    build: (builder, weights) => buildVaeDecoder(builder, config, weights),
  });
  let decoded: Awaited<ReturnType<typeof session.run>> = {};
  const decode = async () => {
    decoded = await session.run({ latents: { data, shape } });
  };
  const series = await takeTurns(
    ROUNDS,
    () => timeMs(decode),
    () => peer.time('decode', request),
  );
  const [image = new Float32Array()] = Object.values(decoded);
  const peerImage = eightBits(await readFloats(request.out));
  await session.release();
  return {
    label,
    unit: 'ms',
    ours: series.ours,
    peer: { name: form.name, series: series.peer },
    must: 0.8,
    goal: 0.6,
    quality: { reference: 'diffusers float32', ours: psnr(eightBits(image), reference, 255), peer: psnr(peerImage, reference, 255) },
  };
}

/** -1 to 1 as 0 to 255. */
function eightBits(planes: Float32Array): Uint8ClampedArray {
  return Uint8ClampedArray.from(planes, (value) => (value / 2 + 0.5) * 255);
}
