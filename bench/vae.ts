import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildVaeDecoder, loadVaeConfig } from '#main/compiler/models/vae.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { psnr } from '#main/parity/comparison.ts';
import { type Comparison, publish, ROUNDS, takeTurns } from './comparison.ts';
import { compiledSession } from './compiled-session.ts';
import { writeRandomVae } from './random-checkpoint.ts';
import { fastestForm, type PeerForm, readFloats, type TorchPeer, withTorchPeer } from './torch-peer.ts';

const SIDES_PX = [512, 1024];
const FORMS: PeerForm[] = [
  { name: 'diffusers float32', options: { dtype: 'float32' } },
  { name: 'diffusers bfloat16', options: { dtype: 'bfloat16' } },
];

/** The VAE's decoder, the bundled one and a random one of the real sizes, against diffusers in the form that is fastest there. */
export async function compareVae(): Promise<void> {
  await withTorchPeer(async ({ peer, folder, threads }) => {
    const fluxSizes = await writeRandomVae(folder);
    const rows: Comparison[] = [];
    for (const sidePx of SIDES_PX) {
      rows.push(await compare('bundled', join(resourcesDir, 'models/storybook-uint4/vae'), sidePx, folder, peer, threads));
      rows.push(await compare('Flux VAE sizes', fluxSizes, sidePx, folder, peer, threads));
    }
    await publish({ name: 'vae', what: 'latents decoded to a picture, float32 in and out', versions: peer.versions, rows });
  });
}

async function compare(label: string, dir: string, sidePx: number, folder: string, peer: TorchPeer, threads: number): Promise<Comparison> {
  const config = await loadVaeConfig(dir);
  const side = sidePx / config.scale;
  const shape = [1, config.latentChannels, side, side];
  const latents = torchRandn(3, config.latentChannels * side * side);
  const [file, out] = [join(folder, 'latents.f32'), join(folder, 'decoded.f32')];
  await writeFile(file, new Uint8Array(latents.buffer));
  const request = { latents: file, shape };

  await peer.ask('open_vae', { dir, dtype: 'float32' });
  await peer.ask('decode', { ...request, out });
  const reference = eightBits(await readFloats(out));
  const form = await fastestForm(peer, 'open_vae', { dir }, 'decode', request, FORMS);
  await peer.ask('decode', { ...request, out });
  const peerPicture = eightBits(await readFloats(out));

  const session = await compiledSession({
    name: 'vae_decoder',
    dir,
    stem: 'diffusion_pytorch_model',
    target: 'cpu-fast',
    compiledDir: join(folder, `${label}-${sidePx}`),
    threads,
    build: (builder, weights) => buildVaeDecoder(builder, config, weights),
  });
  const decode = () => session.run({ latents: { data: latents, shape } });
  const ours = async () => {
    const startedAt = performance.now();
    await decode();
    return performance.now() - startedAt;
  };
  const series = await takeTurns(ROUNDS, ours, () => peer.time('decode', request));
  const { picture } = await decode();
  await session.release();
  return {
    label: `${label}, ${sidePx} x ${sidePx}`,
    unit: 'ms',
    ours: series.ours,
    peer: { name: form.name, series: series.peer },
    must: 0.8,
    goal: 0.6,
    quality: { reference: 'diffusers float32', ours: psnr(eightBits(picture ?? new Float32Array()), reference, 255), peer: psnr(peerPicture, reference, 255) },
  };
}

/** -1 to 1 as 0 to 255. */
function eightBits(planes: Float32Array): Uint8ClampedArray {
  return Uint8ClampedArray.from(planes, (value) => (value / 2 + 0.5) * 255);
}
