import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileUpscaler } from '#main/compiler/compile.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { psnr } from '#main/parity/comparison.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { testImage } from './harness/test-image.ts';
import { fastestForm, type PeerForm, type TorchPeer, withTorchPeer } from './harness/torch-peer.ts';

const CASES = [
  { file: 'realesr-general-x4v3', sidePx: 512 },
  { file: 'RealESRGAN_x4plus', sidePx: 128 },
];
const FORMS: PeerForm[] = [
  { name: 'torch float32', options: { dtype: 'float32' } },
  { name: 'torch float32, channels last', options: { dtype: 'float32', channels_last: true } },
  { name: 'torch bfloat16', options: { dtype: 'bfloat16' } },
  { name: 'torch bfloat16, channels last', options: { dtype: 'bfloat16', channels_last: true } },
];

/** Both upscalers on the CPU, in tiles as the server runs them, beside PyTorch in its fastest form and ncnn on the whole image. */
export async function compareUpscalers(): Promise<void> {
  await withTorchPeer(async ({ peer, folder, threads }) => {
    const rows: Row[] = [];
    for (const { file, sidePx } of CASES) rows.push(...(await compare(file, sidePx, folder, peer, threads)));
    await publish({ name: 'upscale', what: 'an image upscaled 4x, float32 in and out', versions: peer.versions, rows });
  });
}

async function compare(file: string, sidePx: number, folder: string, peer: TorchPeer, threads: number): Promise<Row[]> {
  const path = join(resourcesDir, `upscalers/${file}.safetensors`);
  const input = testImage(sidePx, sidePx);
  const [image, out] = [join(folder, 'image.rgb'), join(folder, 'out.rgb')];
  await writeFile(image, input.data);
  const request = { image, shape: [sidePx, sidePx] };
  const peersImage = async (): Promise<Buffer> => {
    await peer.ask('upscale', { ...request, out });
    return await readFile(out);
  };

  await peer.ask('open_upscaler', { file: path, dtype: 'float32' });
  const reference = await peersImage();
  const compiled = await compileUpscaler({ path, cacheDir: folder, identity: file, target: 'cpu-fast' }, () => {});
  const pipeline = await loadUpscaler(compiled, { threads }, () => {});
  const upscale = () => pipeline.upscale(input, { onProgress: () => {} }, { cancelled: false });
  const ourImage = await upscale();

  const rows: Row[] = [];
  for (const forms of [FORMS, ncnnForms(folder)]) {
    const form = await fastestForm(peer, 'open_upscaler', { file: path }, 'upscale', request, forms);
    const peerImage = await peersImage();
    const series = await takeTurns(
      ROUNDS,
      () => timeMs(upscale),
      () => peer.time('upscale', request),
    );
    rows.push({
      label: `${file}, ${sidePx} x ${sidePx}`,
      unit: 'ms',
      ours: series.ours,
      peer: { name: form.name, series: series.peer },
      must: 0.8,
      goal: 0.6,
      quality: { reference: 'torch float32, whole', ours: psnr(ourImage.data, reference, 255), peer: psnr(peerImage, reference, 255) },
    });
  }
  await pipeline.release();
  return rows;
}

function ncnnForms(folder: string): PeerForm[] {
  return [{ name: 'ncnn float32', options: { dtype: 'float32', ncnn: true, folder } }];
}
