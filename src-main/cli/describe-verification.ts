import type { Verification } from '#shared/domain/verification.ts';

const pixelTexts: Record<Verification['pixels'], string> = {
  intact: 'The pixels are those that were made.',
  changed: 'The pixels are not those that the recipe records.',
  not_recorded: 'The recipe is from before hashes of pixels were recorded.',
  no_recipe: 'The file has no recipe of this program, and nothing here has these pixels.',
};

/** A verification in sentences. */
export function describeVerification({ format, pixels, made_here, marked, obstacles, recipe, repeat }: Verification): string[] {
  const isCopy = pixels === 'changed' && format !== 'png';
  return [
    isCopy ? `The pixels are not those that the recipe records: this is a ${format} copy.` : pixelTexts[pixels],
    made_here === null ? 'The database here does not have it.' : `Made here as ${made_here.filename}.`,
    marked ? 'Marked as made by AI.' : 'Not marked as made by AI.',
    ...(recipe === null ? [] : obstacles.length > 0 ? ['It cannot be repeated here.', ...obstacles] : repeat === null ? ['It can be repeated here.'] : []),
    ...(repeat === null ? [] : repeatTexts(repeat)),
  ];
}

function repeatTexts(repeat: NonNullable<Verification['repeat']>): string[] {
  if (repeat.verdict === 'identical') return ['Repeated: identical.'];
  if (repeat.verdict === 'cannot') return [`Not repeated, because: ${repeat.because.join(' ')}`];
  const size = repeat.max_levels === null ? 'another size' : `differs by at most ${repeat.max_levels} levels, PSNR ${repeat.psnr_db?.toFixed(1)} dB`;
  return [`Repeated: ${size}.`, ...repeat.because];
}

/** See the command's usage. An identical repetition proves the pixels whatever the file records. */
export function exitCodeOf({ pixels, repeat }: Verification): 0 | 3 | 4 | 5 | 6 {
  if (repeat?.verdict === 'identical') return 0;
  if (pixels === 'changed') return 3;
  if (pixels !== 'intact' && pixels !== 'not_recorded') return 4;
  if (repeat === null) return pixels === 'not_recorded' ? 4 : 0;
  return repeat.verdict === 'differs' ? 5 : 6;
}
