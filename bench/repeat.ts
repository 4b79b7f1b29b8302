import { withBenchEngine } from './bench-engine.ts';
import { publish, ROUNDS, takeTurns } from './comparison.ts';

const SIDE_PX = 256;
const DESCRIPTION =
  'a patient owl with a red scarf and a tall top hat on a snowy branch in front of a small wooden house, mountains and a full moon behind it, stars, warm light in the window, digital art';

/** A prompt's second picture, with another seed, beside its first: the text encoder's work is kept. */
export async function compareRepeats(): Promise<void> {
  await withBenchEngine(async (engine) => {
    let prompts = 0;
    let seed = 0;
    const encodingMs = { first: [] as number[], again: [] as number[] };
    const draw = async (encoding: number[]): Promise<number> => {
      const { ms, report } = await engine.generate({ prompt: `${DESCRIPTION}, number ${prompts}`, sidePx: SIDE_PX, seed: seed++ });
      encoding.push(report.stagesMs.encoding ?? 0);
      return ms;
    };
    const firstTime = () => {
      prompts++;
      return draw(encodingMs.first);
    };
    await firstTime();
    const series = await takeTurns(ROUNDS, () => draw(encodingMs.again), firstTime);
    const most = (times: readonly number[]) => Math.max(...times.slice(1)).toFixed(1);
    await publish({
      name: 'repeat',
      what: 'the same prompt with another seed beside the first time',
      versions: {},
      rows: [
        {
          label: `${SIDE_PX} x ${SIDE_PX}, ${DESCRIPTION.split(' ').length} words`,
          unit: 'ms',
          ours: series.ours,
          peer: { name: 'first time', series: series.peer },
          must: 1,
          goal: null,
          note: `the text takes at most ${most(encodingMs.again)} ms again, ${most(encodingMs.first)} ms the first time`,
        },
      ],
    });
  });
}
