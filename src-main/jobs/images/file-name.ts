const SLUG_CODE_POINTS = 30;

/** What `imageFile` and a new scan of the outputs folder take for one of our pictures: date, slug, eight hex digits, role. */
const pictureName = /^\d{8}-[\p{L}\p{Nd}]+(?:-[\p{L}\p{Nd}]+)*-[0-9a-f]{8}(-upscaled)?\.png$/u;

/** NFC, lower case, runs of anything but letters and digits become one `-`, at most 30 code points, no `-` at the ends; `image` when nothing is left. */
export function slugOf(prompt: string, codePoints: number = SLUG_CODE_POINTS): string {
  const dashed = prompt
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^\p{L}\p{Nd}]+/gu, '-')
    .replace(/^-/, '');
  return [...dashed].slice(0, codePoints).join('').replace(/-$/, '') || 'image';
}

/**
 * Name of a job's original picture: `YYYYMMDD-<slug>-<first 8 of job_id>.png`, date local.
 * Two jobs of one day may share slug and digits; `isTaken` tells, and the later one gets `-2`, `-3` … at the end of its slug
 * (shortened so that it still fits its 30 characters): the name keeps its pattern and its digits.
 */
export function imageFileName(createdAtMs: number, prompt: string, jobId: string, isTaken: (name: string) => boolean): string {
  const date = localDate(createdAtMs);
  const digits = jobId.slice(0, 8);
  for (let attempt = 1; ; attempt++) {
    const suffix = attempt === 1 ? '' : `-${attempt}`;
    const name = `${date}-${slugOf(prompt, SLUG_CODE_POINTS - suffix.length)}${suffix}-${digits}.png`;
    if (!isTaken(name)) return name;
  }
}

export function upscaledFileName(filename: string): string {
  return filename.replace(/\.png$/, '-upscaled.png');
}

/** The original's name of either file, or null for anything that is not a name of ours. */
export function originalFileName(filename: string): string | null {
  const match = pictureName.exec(filename);
  if (match === null) return null;
  return match[1] === undefined ? filename : filename.replace(/-upscaled\.png$/, '.png');
}

function localDate(ms: number): string {
  const date = new Date(ms);
  return [String(date.getFullYear()).padStart(4, '0'), String(date.getMonth() + 1).padStart(2, '0'), String(date.getDate()).padStart(2, '0')].join('');
}
