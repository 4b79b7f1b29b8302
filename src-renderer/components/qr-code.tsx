import { encode } from 'uqr';

/** Four modules of quiet border all around, as ISO/IEC 18004 asks for. */
const BORDER = 4;

/** `text` as a QR code, black on white in either theme: scanners need the contrast. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { data, size } = encode(text, { ecc: 'M', border: BORDER });
  const dark = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shapeRendering="crispEdges" className="size-44 shrink-0 rounded-md bg-on-image">
      <path d={dark.join('')} fill="#000" />
    </svg>
  );
}
