/** Measurements inside the page. Each function is serialized into the page, so it must not use anything outside itself. */

interface WindowProbe {
  /** When the form was complete, in milliseconds after the navigation began. */
  formAtMs: number;
  longTasks: { startMs: number; durationMs: number }[];
  /** Milliseconds from an input to the next paint, for inputs of 16 ms or more; `inputCount` counts all. */
  slowInputsMs: number[];
  policyReports: string[];
}

declare global {
  interface Window {
    windowProbe: WindowProbe;
  }
}

/** The event types of the Event Timing API that count as input. */
export const inputTypes = ['keydown', 'keyup', 'input', 'pointerdown', 'pointerup', 'click'];

/** Runs before the page's own scripts. */
export function installProbe(types: readonly string[]): void {
  const probe: WindowProbe = { formAtMs: 0, longTasks: [], slowInputsMs: [], policyReports: [] };
  window.windowProbe = probe;
  document.addEventListener('securitypolicyviolation', (event) => probe.policyReports.push(`${event.violatedDirective}: ${event.blockedURI}`));
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) probe.longTasks.push({ startMs: task.startTime, durationMs: task.duration });
  }).observe({ type: 'longtask', buffered: true });
  const timedEvents = { type: 'event', durationThreshold: 16, buffered: true };
  new PerformanceObserver((list) => {
    for (const input of list.getEntries()) if (types.includes(input.name)) probe.slowInputsMs.push(input.duration);
  }).observe(timedEvents);
  const lookForForm = () => {
    if (document.querySelector('form textarea') === null) requestAnimationFrame(lookForForm);
    else probe.formAtMs = performance.now();
  };
  requestAnimationFrame(lookForForm);
}

/** First contentful paint, and when the form was complete with no long task after it: milliseconds after the navigation began. */
export function readLoadTimes(): { paintMs: number; interactiveMs: number } {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  if (paint === undefined) throw new Error('nothing was painted');
  const lastLongTask = window.windowProbe.longTasks.map(({ startMs, durationMs }) => startMs + durationMs);
  return { paintMs: paint.startTime, interactiveMs: Math.max(paint.startTime, window.windowProbe.formAtMs, ...lastLongTask) };
}

/** The number of inputs of these types so far, and the slow ones' milliseconds. */
export function readInputs(types: readonly string[]): { count: number; slowMs: number[] } {
  return { count: types.reduce((sum, type) => sum + (performance.eventCounts.get(type) ?? 0), 0), slowMs: window.windowProbe.slowInputsMs };
}

/**
 * Watches the gallery's rows while `scroller` scrolls, until the time is over. A row is blank while no tile covers a visible part of the list. The scroll
 * position is read before the page handles the scroll event. A gap counts from the end of the previous frame, since the scrolling may have come just after it,
 * to the end of the first frame that covers the view again. So the real blank time is never longer than the reported one.
 */
export function watchRows(durationMs: number): Promise<number> {
  const list = document.querySelector('[data-index]')?.closest('ul');
  const scroller = list?.parentElement;
  if (!list || !scroller) throw new Error('the gallery is not on the screen');
  const gapPx = 24;
  const isCovered = (): boolean => {
    const view = scroller.getBoundingClientRect();
    const whole = list.getBoundingClientRect();
    let reached = Math.max(view.top, whole.top);
    const tiles = [...list.children].map((tile) => tile.getBoundingClientRect()).filter(({ bottom, top }) => bottom > view.top && top < view.bottom);
    for (const { top, bottom } of tiles.sort((a, b) => a.top - b.top)) if (top <= reached + gapPx) reached = Math.max(reached, bottom);
    return reached >= Math.min(view.bottom, whole.bottom) - gapPx;
  };
  return new Promise((resolve) => {
    const startMs = performance.now();
    let before = startMs;
    let blankSince: number | null = null;
    let longestMs = 0;
    const onScroll = () => {
      if (!isCovered()) blankSince ??= before;
    };
    document.addEventListener('scroll', onScroll, { capture: true });
    const atEndOfFrame = () => {
      const nowMs = performance.now();
      if (!isCovered()) blankSince ??= nowMs;
      else if (blankSince !== null) {
        longestMs = Math.max(longestMs, nowMs - blankSince);
        blankSince = null;
      }
      before = nowMs;
      if (nowMs - startMs < durationMs) requestAnimationFrame(frame);
      else {
        document.removeEventListener('scroll', onScroll, { capture: true });
        resolve(blankSince === null ? longestMs : Math.max(longestMs, nowMs - blankSince));
      }
    };
    const channel = new MessageChannel();
    channel.port1.onmessage = atEndOfFrame;
    const frame = () => channel.port2.postMessage(null);
    requestAnimationFrame(frame);
  });
}

/** Milliseconds from a jump to `part` (0 to 1) of the gallery until every tile in view shows its image. */
export function timePicturesAt(part: number): Promise<number> {
  const list = document.querySelector('[data-index]')?.closest('ul');
  const scroller = list?.parentElement;
  if (!list || !scroller) throw new Error('the gallery is not on the screen');
  const areShown = (): boolean => {
    const view = scroller.getBoundingClientRect();
    const inView = [...list.children].filter((tile) => {
      const { top, bottom } = tile.getBoundingClientRect();
      return bottom > view.top && top < view.bottom;
    });
    const images = inView.map((tile) => tile.querySelector('img'));
    return images.length > 0 && images.every((image) => image?.complete === true && image.naturalWidth > 0);
  };
  return new Promise((resolve) => {
    const startMs = performance.now();
    scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * part;
    const look = () => (areShown() ? resolve(performance.now() - startMs) : requestAnimationFrame(look));
    // this frame still shows the rows of the old position
    requestAnimationFrame(() => requestAnimationFrame(look));
  });
}
