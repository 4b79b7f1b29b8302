export interface Point {
  x: number;
  y: number;
}

/** One action on the mask, in pixels of its canvas. Replaying the steps draws the mask again, which is how undo works. */
export type MaskStep =
  | { tool: 'brush' | 'eraser'; sizePx: number; points: readonly Point[] }
  | { tool: 'rectangle' | 'lasso'; points: readonly Point[] }
  | { tool: 'invert' | 'clear' };

/** The steps that were taken, of which the first `count` are drawn; the others can be redone. */
export interface MaskHistory {
  steps: readonly MaskStep[];
  count: number;
}

export const emptyHistory: MaskHistory = { steps: [], count: 0 };

export function addStep({ steps, count }: MaskHistory, step: MaskStep): MaskHistory {
  const kept = [...steps.slice(0, count), step];
  return { steps: kept, count: kept.length };
}

export function undoStep({ steps, count }: MaskHistory): MaskHistory {
  return { steps, count: Math.max(0, count - 1) };
}

export function redoStep({ steps, count }: MaskHistory): MaskHistory {
  return { steps, count: Math.min(steps.length, count + 1) };
}

export function drawnSteps({ steps, count }: MaskHistory): readonly MaskStep[] {
  return steps.slice(0, count);
}

type Context = Pick<
  CanvasRenderingContext2D,
  | 'beginPath'
  | 'moveTo'
  | 'lineTo'
  | 'closePath'
  | 'fill'
  | 'stroke'
  | 'fillRect'
  | 'clearRect'
  | 'canvas'
  | 'globalCompositeOperation'
  | 'fillStyle'
  | 'strokeStyle'
  | 'lineWidth'
  | 'lineCap'
  | 'lineJoin'
>;

/** Draws one step over what is there: what is repainted is opaque, everything else transparent. */
export function drawStep(context: Context, step: MaskStep, colour: string): void {
  const { width, height } = context.canvas;
  context.globalCompositeOperation = 'source-over';
  context.fillStyle = colour;
  switch (step.tool) {
    case 'clear':
      context.clearRect(0, 0, width, height);
      break;
    case 'invert':
      context.globalCompositeOperation = 'source-out';
      context.fillRect(0, 0, width, height);
      break;
    case 'rectangle': {
      const [from, to] = [step.points[0], step.points.at(-1)];
      if (from !== undefined && to !== undefined)
        context.fillRect(Math.min(from.x, to.x), Math.min(from.y, to.y), Math.abs(to.x - from.x), Math.abs(to.y - from.y));
      break;
    }
    case 'lasso':
      trace(context, step.points);
      context.closePath();
      context.fill();
      break;
    default:
      if (step.tool === 'eraser') context.globalCompositeOperation = 'destination-out';
      context.strokeStyle = colour;
      context.lineWidth = step.sizePx;
      context.lineCap = 'round';
      context.lineJoin = 'round';
      trace(context, step.points);
      context.stroke();
  }
}

function trace(context: Context, [first, ...rest]: readonly Point[]): void {
  if (first === undefined) return;
  context.beginPath();
  context.moveTo(first.x, first.y);
  // a line to itself is a dot
  for (const { x, y } of rest.length === 0 ? [first] : rest) context.lineTo(x, y);
}

/** A mask file of `size`: white is repainted, black is kept. */
export async function maskFile(mask: HTMLCanvasElement, size: { width: number; height: number }): Promise<Blob> {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: size.width, height: size.height });
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser has no 2D canvas.');
  context.drawImage(mask, 0, 0, size.width, size.height);
  context.globalCompositeOperation = 'source-in';
  context.fillStyle = 'white';
  context.fillRect(0, 0, size.width, size.height);
  context.globalCompositeOperation = 'destination-over';
  context.fillStyle = 'black';
  context.fillRect(0, 0, size.width, size.height);
  const file = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (file === null) throw new Error('The mask could not be written as a PNG.');
  return file;
}
