import { Brush, Circle, Eraser, FlipHorizontal2, Hand, Minus, Plus, Redo2, Square, Trash2, Undo2, X } from 'lucide-react';
import { type PointerEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { uploadUrl } from '../client/http.ts';
import { fitInto, useBoxSize } from '../components/box-size.ts';
import { Button, IconButton } from '../components/button.tsx';
import { useStudio } from '../components/use-studio.ts';
import { centered, clampView, type View, zoomAt } from '../components/view-transform.ts';
import { addStep, drawnSteps, drawStep, emptyHistory, type MaskStep, maskFile, type Point, redoStep, undoStep } from './mask-steps.ts';

/** A larger image is painted on at this size; its mask is written at its own. */
const MAX_CANVAS_PX = 2048;
const MAX_SCALE = 8;
const ZOOM_STEP = 1.5;
const COLOUR = '#e11d48';

const tools = [
  { name: 'brush', Icon: Brush },
  { name: 'eraser', Icon: Eraser },
  { name: 'rectangle', Icon: Square },
  { name: 'lasso', Icon: Circle },
  { name: 'hand', Icon: Hand },
] as const;
type Tool = (typeof tools)[number]['name'];

interface MaskEditorProps {
  image: { id: string; width: number; height: number };
  featherPx: number;
  onCancel(): void;
  onDone(mask: Blob, featherPx: number): void;
}

/** Paints what should be repainted over an image, with mouse, pen or touch. Two fingers move and zoom. */
export function MaskEditor({ image, featherPx, onCancel, onDone }: MaskEditorProps) {
  const { t } = useTranslation();
  const notifyFailure = useStudio((state) => state.notifyFailure);
  const dialog = useRef<HTMLDialogElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const [tool, setTool] = useState<Tool>('brush');
  const [brushPx, setBrushPx] = useState(Math.max(8, Math.round(Math.min(image.width, image.height) / 8)));
  const [feather, setFeather] = useState(featherPx);
  const [history, setHistory] = useState(emptyHistory);
  const [active, setActive] = useState<MaskStep | null>(null);
  const [view, setView] = useState<View>(centered);
  useEffect(() => dialog.current?.showModal(), []);

  const canvasScale = Math.min(1, MAX_CANVAS_PX / Math.max(image.width, image.height));
  const size = { width: Math.round(image.width * canvasScale), height: Math.round(image.height * canvasScale) };
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    for (const step of active === null ? drawnSteps(history) : [...drawnSteps(history), active]) drawStep(context, step, COLOUR);
  }, [history, active]);

  const fit = fitInto(box, image);
  const move = (change: (before: View) => View) => setView((before) => clampView(change(before), fit, box));
  const zoom = (factor: number, at: Point = { x: 0, y: 0 }) => move((before) => zoomAt(before, factor, at, MAX_SCALE));
  const gestures = useGestures({
    isMoving: tool === 'hand',
    onPan: (by) => move((before) => ({ ...before, x: before.x + by.x, y: before.y + by.y })),
    onZoom: zoom,
    onDraw: (points) => setActive(points === null ? null : stepOf(tool, points, brushPx * canvasScale)),
    onDrawn: (points) => {
      setActive(null);
      const step = stepOf(tool, points, brushPx * canvasScale);
      if (step !== null) setHistory((before) => addStep(before, step));
    },
    pointOf: (event) => {
      const { left, top, width, height } = canvas.current?.getBoundingClientRect() ?? { left: 0, top: 0, width: 1, height: 1 };
      return { x: ((event.clientX - left) / width) * size.width, y: ((event.clientY - top) / height) * size.height };
    },
  });

  const isEmpty = drawnSteps(history).length === 0;
  const finish = () => {
    if (canvas.current !== null) maskFile(canvas.current, image).then((mask) => onDone(mask, feather), notifyFailure);
  };
  const placed = { ...fit, left: (box.width - fit.width) / 2, top: (box.height - fit.height) / 2 };
  const transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  return (
    <dialog
      ref={dialog}
      aria-label={t('edit.maskTitle')}
      className="m-0 size-full max-h-none max-w-none bg-canvas p-3 backdrop:bg-veil"
      onClose={onCancel}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
        event.preventDefault();
        setHistory(event.shiftKey ? redoStep : undoStep);
      }}
    >
      <div className="flex h-full flex-col gap-2">
        <div className="flex flex-wrap items-center gap-1" role="toolbar" aria-label={t('edit.maskTools')}>
          {tools.map(({ name, Icon }) => (
            <IconButton key={name} label={t(`edit.tool.${name}`)} isOn={tool === name} onClick={() => setTool(name)}>
              <Icon size="1.125rem" aria-hidden />
            </IconButton>
          ))}
          <Slider
            label={t('edit.brushSize')}
            value={brushPx}
            min={2}
            max={Math.max(16, Math.round(Math.max(image.width, image.height) / 2))}
            onChange={setBrushPx}
          />
          <Slider label={t('edit.feather')} value={feather} min={0} max={64} onChange={setFeather} />
          <IconButton label={t('edit.invert')} onClick={() => setHistory((before) => addStep(before, { tool: 'invert' }))}>
            <FlipHorizontal2 size="1.125rem" aria-hidden />
          </IconButton>
          <IconButton label={t('edit.clear')} disabled={isEmpty} onClick={() => setHistory((before) => addStep(before, { tool: 'clear' }))}>
            <Trash2 size="1.125rem" aria-hidden />
          </IconButton>
          <IconButton label={t('edit.undo')} disabled={history.count === 0} onClick={() => setHistory(undoStep)}>
            <Undo2 size="1.125rem" aria-hidden />
          </IconButton>
          <IconButton label={t('edit.redo')} disabled={history.count === history.steps.length} onClick={() => setHistory(redoStep)}>
            <Redo2 size="1.125rem" aria-hidden />
          </IconButton>
          <IconButton label={t('view.zoomOut')} disabled={view.scale <= 1} onClick={() => zoom(1 / ZOOM_STEP)}>
            <Minus size="1.125rem" aria-hidden />
          </IconButton>
          <IconButton label={t('view.zoomIn')} disabled={view.scale >= MAX_SCALE} onClick={() => zoom(ZOOM_STEP)}>
            <Plus size="1.125rem" aria-hidden />
          </IconButton>
          <IconButton className="ml-auto" label={t('view.close')} onClick={() => dialog.current?.close()}>
            <X size="1.125rem" aria-hidden />
          </IconButton>
        </div>
        <div ref={ref} className="relative min-h-0 flex-1 touch-none overflow-hidden rounded-lg bg-sunken" {...gestures}>
          <img src={uploadUrl(image.id)} alt={t('edit.source')} draggable={false} className="absolute max-w-none" style={{ ...placed, transform }} />
          <canvas
            ref={canvas}
            {...size}
            className="absolute cursor-crosshair opacity-60"
            style={{ ...placed, transform, filter: feather === 0 ? 'none' : `blur(${(feather * fit.width) / Math.max(1, image.width) / 2}px)` }}
          />
        </div>
        <div className="flex items-center justify-end gap-2">
          <p className="mr-auto text-xs text-muted">{t('edit.maskHelp')}</p>
          <Button onClick={() => dialog.current?.close()}>{t('edit.cancel')}</Button>
          <Button tone="primary" disabled={isEmpty} onClick={finish}>
            {t('edit.useMask')}
          </Button>
        </div>
      </div>
    </dialog>
  );
}

function stepOf(tool: Tool, points: readonly Point[], sizePx: number): MaskStep | null {
  if (tool === 'hand') return null;
  return tool === 'brush' || tool === 'eraser' ? { tool, sizePx, points } : { tool, points };
}

interface SliderProps {
  label: string;
  value: number;
  min: number;
  max: number;
  onChange(value: number): void;
}

function Slider({ label, value, min, max, onChange }: SliderProps) {
  return (
    <label className="flex items-center gap-2 px-1 text-sm">
      {label}
      <input type="range" className="w-24 accent-accent" min={min} max={max} value={value} onChange={(event) => onChange(Number(event.target.value))} />
      <span className="w-9 text-xs text-muted tabular-nums">{value}</span>
    </label>
  );
}

interface Gestures {
  /** One pointer moves the image instead of drawing. */
  isMoving: boolean;
  onPan(by: Point): void;
  onZoom(factor: number, at: Point): void;
  /** The points so far; null where a second finger ended the drawing. */
  onDraw(points: readonly Point[] | null): void;
  onDrawn(points: readonly Point[]): void;
  pointOf(event: PointerEvent): Point;
}

/** One pointer draws or moves; two move and zoom, and drop what the first one began. */
function useGestures({ isMoving, onPan, onZoom, onDraw, onDrawn, pointOf }: Gestures) {
  const pointers = useRef(new Map<number, Point>());
  const points = useRef<Point[] | null>(null);
  const end = (event: PointerEvent, isKept: boolean) => {
    pointers.current.delete(event.pointerId);
    const drawn = points.current;
    points.current = null;
    if (drawn !== null && isKept) onDrawn(drawn);
    else if (drawn !== null) onDraw(null);
  };
  return {
    onPointerDown(event: PointerEvent) {
      if (event.pointerType === 'mouse' && event.button > 1) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const isDrawing = pointers.current.size === 1 && !isMoving && event.button !== 1;
      if (!isDrawing && points.current !== null) onDraw(null);
      points.current = isDrawing ? [pointOf(event)] : null;
      if (points.current !== null) onDraw([...points.current]);
    },
    onPointerMove(event: PointerEvent) {
      const before = pointers.current.get(event.pointerId);
      if (before === undefined) return;
      const now = { x: event.clientX, y: event.clientY };
      pointers.current.set(event.pointerId, now);
      if (points.current !== null) {
        points.current.push(pointOf(event));
        onDraw([...points.current]);
        return;
      }
      const fingers = pointers.current.size;
      onPan({ x: (now.x - before.x) / fingers, y: (now.y - before.y) / fingers });
      const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
      if (other === undefined) return;
      const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
      const middle = { x: (now.x + other.x) / 2 - left - width / 2, y: (now.y + other.y) / 2 - top - height / 2 };
      onZoom(distance(now, other) / Math.max(1, distance(before, other)), middle);
    },
    onPointerUp: (event: PointerEvent) => end(event, true),
    onPointerCancel: (event: PointerEvent) => end(event, false),
  };
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
