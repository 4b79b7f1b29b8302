import { join } from 'node:path';
import { buildTextEncoder, loadTextEncoderConfig } from '#main/compiler/models/text-encoder.ts';
import type { Session } from '#main/inference/session.ts';
import { relativeDifference } from '#main/parity/comparison.ts';
import { compiledSession } from './harness/compiled-session.ts';
import { writeRandomTextEncoder } from './harness/random-checkpoint.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import { parityText, type Row } from './harness/row.ts';
import { fastestForm, readFloats, type TorchPeer, withTorchPeer } from './harness/torch-peer.ts';

const LAYERS = 6;
const TOKENS = [64, 512];

/** Qwen3 at the real sizes with random uint4 + SVD weights and 6 layers, of which Z-Image uses 5, beside transformers with sdnq in its fastest form. */
export async function compareText(): Promise<void> {
  await withTorchPeer(async ({ peer, folder, threads }) => {
    const dir = await writeRandomTextEncoder(folder, 'uint4', LAYERS);
    const config = await loadTextEncoderConfig(dir);
    const differences = new Map<string, number>();
    const rows: Row[] = [];
    for (const target of ['cpu-exact', 'cpu-fast'] as const) {
      const session = await compiledSession({
        name: 'text_encoder',
        dir,
        stem: 'model',
        target,
        compiledDir: join(folder, target),
        threads,
        build: (builder, weights) => buildTextEncoder(builder, config, weights, { takenAfter: [config.layers - 1], isPadded: false }),
      });
      for (const tokens of TOKENS) {
        const row = await compare(session, dir, tokens, folder, peer, target === 'cpu-fast');
        differences.set(`${target} ${tokens}`, row.difference);
        if (row.comparison) {
          const exact = differences.get(`cpu-exact ${tokens}`) ?? Number.NaN;
          rows.push({ ...row.comparison, note: parityText({ exact, fast: row.difference }) });
        }
      }
      await session.release();
    }
    await publish({
      name: 'text',
      what: `text encoder, width 2560, ${LAYERS} layers, uint4 with SVD of rank 32, random weights`,
      versions: peer.versions,
      rows,
    });
  });
}

async function compare(
  session: Session,
  dir: string,
  tokens: number,
  folder: string,
  peer: TorchPeer,
  isTimed: boolean,
): Promise<{ difference: number; comparison: Row | null }> {
  const ids = Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % 150_000);
  const out = join(folder, 'hidden.f32');
  await peer.ask('open_text', { dir, dtype: 'float32' });
  await peer.ask('encode', { ids, out });
  const run = () => session.run({ input_ids: { data: BigInt64Array.from(ids, (id) => BigInt(id)), shape: [tokens] } });
  const { text_embedding: embedding } = await run();
  const difference = relativeDifference(embedding ?? new Float32Array(), await readFloats(out));
  if (!isTimed) return { difference, comparison: null };

  const form = await fastestForm(peer, 'open_text', { dir }, 'encode', { ids });
  const series = await takeTurns(
    ROUNDS,
    () => timeMs(run),
    () => peer.time('encode', { ids }),
  );
  return {
    difference,
    comparison: { label: `${tokens} tokens`, unit: 'ms', ours: series.ours, peer: { name: form.name, series: series.peer }, must: 0.6, goal: 0.4 },
  };
}
