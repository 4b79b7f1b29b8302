import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileUpscaler } from '#main/compiler/compile.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { psnr } from '#main/parity/comparison.ts';
import { type Comparison, publish, ROUNDS, takeTurns } from './comparison.ts';
import { testPicture } from './test-picture.ts';
import { fastestForm, type PeerForm, type TorchPeer, withTorchPeer } from './torch-peer.ts';

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

/** Both upscalers on the CPU, tiled as the server runs them, against PyTorch (in the form that is fastest there) and ncnn on the whole picture. */
export async function compareUpscalers(): Promise<void> {
  await withTorchPeer(async ({ peer, folder, threads }) => {
    const rows: Comparison[] = [];
    for (const { file, sidePx } of CASES) rows.push(...(await compare(file, sidePx, folder, peer, threads)));
    await publish({ name: 'upscale', what: 'a picture made four times as large, float32 in and out', versions: peer.versions, rows });
  });
}

async function compare(file: string, sidePx: number, folder: string, peer: TorchPeer, threads: number): Promise<Comparison[]> {
  const path = join(resourcesDir, `upscalers/${file}.safetensors`);
  const input = testPicture(sidePx, sidePx);
  const [picture, out] = [join(folder, 'picture.rgb'), join(folder, 'out.rgb')];
  await writeFile(picture, input.data);
  const request = { picture, shape: [sidePx, sidePx] };
  const peersPicture = async (): Promise<Buffer> => {
    await peer.ask('upscale', { ...request, out });
    return await readFile(out);
  };

  await peer.ask('open_upscaler', { file: path, dtype: 'float32' });
  const reference = await peersPicture();
  const compiled = await compileUpscaler({ path, cacheDir: folder, identity: file, target: 'cpu-fast' }, () => {});
  const pipeline = await loadUpscaler(compiled, { threads }, () => {});
  const ours = async () => {
    const startedAt = performance.now();
    await pipeline.upscale(input, { onProgress: () => {} }, { cancelled: false });
    return performance.now() - startedAt;
  };
  const ourPicture = await pipeline.upscale(input, { onProgress: () => {} }, { cancelled: false });

  const rows: Comparison[] = [];
  for (const forms of [FORMS, ncnnForms(folder)]) {
    const form = await fastestForm(peer, 'open_upscaler', { file: path }, 'upscale', request, forms);
    const peerPicture = await peersPicture();
    const series = await takeTurns(ROUNDS, ours, () => peer.time('upscale', request));
    rows.push({
      label: `${file}, ${sidePx} x ${sidePx}`,
      unit: 'ms',
      ours: series.ours,
      peer: { name: form.name, series: series.peer },
      must: 0.8,
      goal: 0.6,
      quality: { reference: 'torch float32, whole', ours: psnr(ourPicture.data, reference, 255), peer: psnr(peerPicture, reference, 255) },
    });
  }
  await pipeline.release();
  return rows;
}

function ncnnForms(folder: string): PeerForm[] {
  return [{ name: 'ncnn float32', options: { dtype: 'float32', ncnn: true, folder } }];
}
