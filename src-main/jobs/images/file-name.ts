const SLUG_CODE_POINTS = 30;

/** The file name of an image of ours: date, slug, eight hex digits, role. */
const imageName = /^\d{8}-[\p{L}\p{Nd}]+(?:-[\p{L}\p{Nd}]+)*-[0-9a-f]{8}(-upscaled)?\.png$/u;

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
 * Name of a job's original image: `YYYYMMDD-<slug>-<first 8 of job_id>.png`, in local time. If the name is taken, the slug ends with `-2`, `-3` … and is
 * shortened to 30 characters.
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

/** The name of the original for either of a job's files; null for any other name. */
export function originalFileName(filename: string): string | null {
  const match = imageName.exec(filename);
  if (match === null) return null;
  return match[1] === undefined ? filename : filename.replace(/-upscaled\.png$/, '.png');
}

function localDate(ms: number): string {
  const date = new Date(ms);
  return [String(date.getFullYear()).padStart(4, '0'), String(date.getMonth() + 1).padStart(2, '0'), String(date.getDate()).padStart(2, '0')].join('');
}
