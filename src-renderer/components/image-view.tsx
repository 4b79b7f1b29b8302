import { ChevronsLeftRight, Columns2, Expand, Minus, Plus, Search } from 'lucide-react';
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { type BoxSize, fitInto, useBoxSize } from './box-size.ts';
import { IconButton } from './button.tsx';
import { useStudio } from './use-studio.ts';
import { centered, clampView, type View, zoomAt } from './view-transform.ts';

export const UPSCALE = 4;
const ZOOM_STEP = 1.5;
const LENS_PX = 224;

interface ImageViewProps {
  filename: string;
  upscaledFilename: string | null;
  /** Of the second image against the first. */
  scale?: number | undefined;
  /** Of the original, in pixels. */
  shape: BoxSize;
  prompt: string;
  /** A finger was drawn across the fitted image: 1 to the left, for the next image, or -1. */
  onSwipe?: (step: 1 | -1) => void;
}

interface Point {
  x: number;
  y: number;
}

/**
 * A finished image: the upscaled version, or both versions divided by a line while comparing. Zooms by wheel, pinch, keys and buttons, pans by dragging.
 * The line stays in place while the image moves under it.
 */
export function ImageView({ filename, upscaledFilename, scale = UPSCALE, shape, prompt, onSwipe }: ImageViewProps) {
  const { t } = useTranslation();
  const wantsCompare = useStudio((state) => state.isComparing);
  const setComparing = useStudio((state) => state.setComparing);
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const [view, setView] = useState<View>(centered);
  const [line, setLine] = useState(0.5);
  const [loaded, setLoaded] = useState<string | null>(null);
  const [isLensOn, setLensOn] = useState(false);
  const [pointer, setPointer] = useState<Point | null>(null);
  const [placed, setPlaced] = useState(filename);
  // the element stays when the image changes, so full screen mode does too
  if (placed !== filename) {
    setPlaced(filename);
    setView(centered);
  }

  const times = upscaledFilename === null ? 1 : scale;
  const fit = fitInto(box, shape);
  const fullScale = Math.max(1, (shape.width * times) / Math.max(1, fit.width) / window.devicePixelRatio);
  const maxScale = Math.max(4, fullScale * 2);
  const shown = { width: fit.width * view.scale, height: fit.height * view.scale };
  const corner = { x: (box.width - shown.width) / 2 + view.x, y: (box.height - shown.height) / 2 + view.y };
  const split = Math.min(1, Math.max(0, (line * box.width - corner.x) / Math.max(1, shown.width)));
  const hasBoth = upscaledFilename !== null && loaded === upscaledFilename;
  const isComparing = hasBoth && wantsCompare;

  const zoom = (factor: number, at: Point = { x: 0, y: 0 }) => setView((before) => clampView(zoomAt(before, factor, at, maxScale), fit, box));
  const toggleFull = () => setView(view.scale > 1 ? centered : { ...centered, scale: fullScale });
  const pan = usePan((by) => setView((before) => clampView({ ...before, x: before.x + by.x, y: before.y + by.y }, fit, box)), zoom);
  const swipe = useSwipe(view.scale > 1 ? undefined : onSwipe);
  useWheel(ref, view.scale > 1, zoom);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '+' || event.key === '=') zoom(ZOOM_STEP);
    else if (event.key === '-') zoom(1 / ZOOM_STEP);
    else if (event.key === '0') setView(centered);
    else if (event.key === 'c' && hasBoth) setComparing(!isComparing);
  };
  const imageClass = `absolute top-1/2 left-1/2 max-w-none select-none ${view.scale > 1 ? '' : 'rounded-md in-[:fullscreen]:rounded-none'}`;
  const imageStyle = { ...fit, transform: `translate(-50%, -50%) translate(${view.x}px, ${view.y}px) scale(${view.scale})` };
  const alt = t('view.alt', { prompt });
  // at the fitted size there is nothing to pan, so a drag takes the image out of the window
  const isDraggable = view.scale <= 1 && !isComparing;
  const originalClip = isComparing ? `inset(0 ${(1 - split) * 100}% 0 0)` : hasBoth ? 'inset(0 100% 0 0)' : 'none';

  return (
    <figure
      ref={ref}
      tabIndex={-1}
      aria-label={alt}
      className="relative size-full overflow-hidden rounded-lg outline-none [&:fullscreen]:rounded-none [&:fullscreen]:bg-black"
      onKeyDown={onKeyDown}
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: panning and the magnifier are for pointers; zoom has keys and buttons */}
      <div
        className={`absolute inset-0 ${view.scale > 1 ? 'cursor-grab touch-none active:cursor-grabbing' : 'touch-pan-y'}`}
        onDoubleClick={toggleFull}
        onPointerLeave={() => setPointer(null)}
        {...pan}
        onPointerDown={(event) => {
          pan.onPointerDown(event);
          swipe.onPointerDown(event);
        }}
        onPointerUp={(event) => {
          pan.onPointerUp(event);
          swipe.onPointerUp(event);
        }}
        onPointerMove={(event) => {
          pan.onPointerMove(event);
          if (isLensOn) setPointer(pointIn(event));
        }}
      >
        {upscaledFilename !== null && (
          <img
            key={upscaledFilename}
            src={imageUrl(upscaledFilename)}
            alt={alt}
            draggable={isDraggable}
            decoding="async"
            className={imageClass}
            style={imageStyle}
            onLoad={() => setLoaded(upscaledFilename)}
          />
        )}
        <img
          key={filename}
          src={imageUrl(filename)}
          alt={upscaledFilename === null ? alt : ''}
          draggable={isDraggable}
          className={imageClass}
          style={{ ...imageStyle, clipPath: originalClip }}
        />
      </div>
      {isComparing && <SplitLine leftPx={corner.x + shown.width * split} corner={corner} shown={shown} box={box} line={line} onMove={setLine} />}
      {hasBoth && isLensOn && pointer !== null && (
        <Lens at={pointer} url={imageUrl(upscaledFilename)} corner={corner} shown={shown} full={{ width: shape.width * times, height: shape.height * times }} />
      )}
      <div className="absolute right-2 bottom-2 flex gap-0.5 rounded-md bg-surface/90 p-0.5">
        {upscaledFilename !== null && (
          <IconButton label={t('view.compare')} isOn={isComparing} disabled={!hasBoth} onClick={() => setComparing(!isComparing)}>
            <Columns2 aria-hidden className="size-4.5" />
          </IconButton>
        )}
        <IconButton label={t('view.zoomOut')} disabled={view.scale <= 1} onClick={() => zoom(1 / ZOOM_STEP)}>
          <Minus aria-hidden className="size-4.5" />
        </IconButton>
        <IconButton label={t('view.zoomIn')} disabled={view.scale >= maxScale} onClick={() => zoom(ZOOM_STEP)}>
          <Plus aria-hidden className="size-4.5" />
        </IconButton>
        <IconButton label={t('view.actual')} isOn={view.scale > 1} onClick={toggleFull}>
          <span aria-hidden className="text-xs font-semibold">
            1:1
          </span>
        </IconButton>
        {upscaledFilename !== null && (
          <IconButton label={t('view.lens')} isOn={isLensOn} onClick={() => setLensOn(!isLensOn)}>
            <Search aria-hidden className="size-4.5" />
          </IconButton>
        )}
        {document.fullscreenEnabled && (
          <IconButton
            label={t('view.fullscreen')}
            onClick={() => void (document.fullscreenElement === null ? ref.current?.requestFullscreen() : document.exitFullscreen())}
          >
            <Expand aria-hidden className="size-4.5" />
          </IconButton>
        )}
      </div>
    </figure>
  );
}

interface SplitLineProps {
  leftPx: number;
  corner: Point;
  shown: BoxSize;
  box: BoxSize;
  line: number;
  onMove(line: number): void;
}

/** The line between original and upscaled image, with a handle to drag and a slider for the keyboard. */
function SplitLine({ leftPx, corner, shown, box, line, onMove }: SplitLineProps) {
  const { t } = useTranslation();
  const top = Math.max(0, corner.y);
  const height = Math.min(box.height, corner.y + shown.height) - top;
  const firstLine = Math.max(0, corner.x) / box.width;
  const lastLine = Math.min(box.width, corner.x + shown.width) / box.width;
  const tag = 'pointer-events-none absolute top-2 whitespace-nowrap rounded-sm bg-over-image px-1.5 text-xs font-medium text-on-image';
  return (
    <div className="absolute w-0" style={{ left: leftPx, top, height }}>
      <span className={`${tag} right-3`}>{t('view.original')}</span>
      <span className={`${tag} left-3`}>{t('view.upscaled')}</span>
      <input
        type="range"
        className="peer sr-only"
        aria-label={t('view.compareLine')}
        aria-description={t('view.compareHelp')}
        min={firstLine}
        max={lastLine}
        step={0.01}
        value={line}
        onChange={(event) => onMove(event.target.valueAsNumber)}
      />
      <div className="absolute inset-y-0 -left-px w-0.5 bg-on-image shadow-float" />
      <div
        className="absolute inset-y-0 -left-5 flex w-10 cursor-ew-resize touch-none items-center justify-center peer-focus-visible:*:outline-2 peer-focus-visible:*:outline-offset-2 peer-focus-visible:*:outline-accent"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          event.preventDefault();
        }}
        onPointerMove={(event) => {
          const figure = event.currentTarget.closest('figure');
          if (figure === null || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
          const at = (event.clientX - figure.getBoundingClientRect().left) / box.width;
          onMove(Math.min(lastLine, Math.max(firstLine, at)));
        }}
      >
        <span className="flex size-9 items-center justify-center rounded-full bg-on-image text-[#191c1b] shadow-float">
          <ChevronsLeftRight aria-hidden className="size-4.5" />
        </span>
      </div>
    </div>
  );
}

/** The part of the upscaled image around the pointer, at one image pixel per device pixel. */
function Lens({ at, url, corner, shown, full }: { at: Point; url: string; corner: Point; shown: BoxSize; full: BoxSize }) {
  const inImage = { x: (at.x - corner.x) / shown.width, y: (at.y - corner.y) / shown.height };
  if (inImage.x < 0 || inImage.x > 1 || inImage.y < 0 || inImage.y > 1) return null;
  const size = { width: full.width / window.devicePixelRatio, height: full.height / window.devicePixelRatio };
  return (
    <div
      aria-hidden
      className="pointer-events-none absolute rounded-full border-2 border-on-image bg-sunken bg-no-repeat shadow-float"
      style={{
        width: LENS_PX,
        height: LENS_PX,
        left: at.x - LENS_PX / 2,
        top: at.y - LENS_PX / 2,
        backgroundImage: `url("${url}")`,
        backgroundSize: `${size.width}px ${size.height}px`,
        backgroundPosition: `${LENS_PX / 2 - inImage.x * size.width}px ${LENS_PX / 2 - inImage.y * size.height}px`,
      }}
    />
  );
}

function pointIn(event: PointerEvent): Point {
  const frame = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - frame.left, y: event.clientY - frame.top };
}

/** One pointer pans, two fingers zoom. */
function usePan(onMove: (by: Point) => void, onZoom: (factor: number, at: Point) => void) {
  const down = useRef(new Map<number, Point>());
  return {
    onPointerDown(event: PointerEvent) {
      if (event.button !== 0) return;
      // a captured mouse pointer could not start the drag that takes the image out of the window
      if (event.pointerType !== 'mouse' || !(event.target instanceof HTMLImageElement) || !event.target.draggable) {
        event.currentTarget.setPointerCapture(event.pointerId);
      }
      down.current.set(event.pointerId, pointIn(event));
    },
    onPointerMove(event: PointerEvent) {
      const before = down.current.get(event.pointerId);
      if (before === undefined) return;
      const now = pointIn(event);
      down.current.set(event.pointerId, now);
      const other = [...down.current].find(([id]) => id !== event.pointerId)?.[1];
      if (other === undefined) return onMove({ x: now.x - before.x, y: now.y - before.y });
      const frame = event.currentTarget.getBoundingClientRect();
      const distance = (point: Point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
      onZoom(distance(now) / distance(before), { x: (now.x + other.x - frame.width) / 2, y: (now.y + other.y - frame.height) / 2 });
    },
    onPointerUp: (event: PointerEvent) => void down.current.delete(event.pointerId),
    onPointerCancel: (event: PointerEvent) => void down.current.delete(event.pointerId),
  };
}

const SWIPE_PX = 60;

/** Calls `onSwipe` when one finger was drawn across, more sideways than down. */
function useSwipe(onSwipe: ((step: 1 | -1) => void) | undefined) {
  const start = useRef<Point | null>(null);
  return {
    onPointerDown(event: PointerEvent) {
      start.current = event.pointerType === 'touch' && event.isPrimary ? pointIn(event) : null;
    },
    onPointerUp(event: PointerEvent) {
      const from = start.current;
      start.current = null;
      if (from === null) return;
      const [across, down] = [pointIn(event).x - from.x, pointIn(event).y - from.y];
      if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(down)) onSwipe?.(across < 0 ? 1 : -1);
    },
  };
}

/** Zooms by wheel. At the fitted size a page that can scroll gets the event, unless Ctrl is held. React's own wheel listeners are passive. */
function useWheel(ref: { readonly current: HTMLElement | null }, isZoomed: boolean, zoom: (factor: number, at: Point) => void): void {
  const latest = useRef({ isZoomed, zoom });
  useEffect(() => {
    latest.current = { isZoomed, zoom };
  });
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !latest.current.isZoomed && (event.deltaY > 0 || canScroll(element))) return;
      event.preventDefault();
      const frame = element.getBoundingClientRect();
      const at = { x: event.clientX - frame.left - frame.width / 2, y: event.clientY - frame.top - frame.height / 2 };
      latest.current.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), at);
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    return () => element.removeEventListener('wheel', onWheel);
  }, [ref]);
}

/** Whether a box around the element can be scrolled. */
function canScroll(element: HTMLElement): boolean {
  if (document.fullscreenElement !== null || element.closest('dialog') !== null) return false;
  for (let box = element.parentElement; box !== null; box = box.parentElement) {
    if (box.scrollHeight > box.clientHeight + 1 && getComputedStyle(box).overflowY !== 'visible') return true;
  }
  return false;
}
