import { encode } from 'uqr';

/** Quiet zone of four modules, as ISO/IEC 18004 requires. */
const BORDER = 4;

/** `text` as a QR code, black on white in both themes, because scanners need the contrast. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { data, size } = encode(text, { ecc: 'M', border: BORDER });
  const dark = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shapeRendering="crispEdges" className="size-44 shrink-0 rounded-md bg-on-image">
      <path d={dark.join('')} fill="#000" />
    </svg>
  );
}
