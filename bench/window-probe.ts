/** What is measured inside the page. Each function is sent into it as it stands here, so none uses anything from outside itself. */

interface WindowProbe {
  /** When the form stood, in milliseconds after the navigation began. */
  formAtMs: number;
  longTasks: { startMs: number; durationMs: number }[];
  /** Milliseconds from an input to the next paint, for those of 16 ms or more; all in all there were `inputCount`. */
  slowInputsMs: number[];
  policyReports: string[];
}

declare global {
  interface Window {
    windowProbe: WindowProbe;
  }
}

/** The event types that count as input, of those that the Event Timing API times. */
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

/** First contentful paint, and when the form stood with no long task after it: milliseconds after the navigation began. */
export function readLoadTimes(): { paintMs: number; interactiveMs: number } {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  if (paint === undefined) throw new Error('nothing was painted');
  const lastLongTask = window.windowProbe.longTasks.map(({ startMs, durationMs }) => startMs + durationMs);
  return { paintMs: paint.startTime, interactiveMs: Math.max(paint.startTime, window.windowProbe.formAtMs, ...lastLongTask) };
}

/** How many inputs of these types there were so far, and the slow ones' milliseconds. */
export function readInputs(types: readonly string[]): { count: number; slowMs: number[] } {
  return { count: types.reduce((sum, type) => sum + (performance.eventCounts.get(type) ?? 0), 0), slowMs: window.windowProbe.slowInputsMs };
}

/**
 * Watches the rows of the gallery while `scroller` is scrolled, until the promise's time is over. A row is blank while a part of the list is in view that no
 * tile covers. The list is compared with where it has been scrolled to before the page itself hears of the scrolling; a gap counts from the end of the frame
 * before, since the scrolling may have come just after it, to the end of the first frame that covers the view again. So no blank row is longer than what is told.
 */
export function watchRows(durationMs: number): Promise<{ longestBlankMs: number; longestFrameMs: number; frames: number; unseenMs: number }> {
  const tile = document.querySelector('[data-index]');
  const list = tile?.closest('ul');
  const scroller = list?.parentElement;
  if (!list || !scroller) throw new Error('the gallery is not on the screen');
  const gapPx = 24;
  /** Whether tiles cover the part of the list that is in view, and whether each of them shows its picture. */
  const look = (): { covered: boolean; pictures: boolean } => {
    const view = scroller.getBoundingClientRect();
    const whole = list.getBoundingClientRect();
    const tiles = [...list.children].map((item) => ({ item, box: item.getBoundingClientRect() }));
    const inView = tiles.filter(({ box }) => box.bottom > view.top && box.top < view.bottom);
    let reached = Math.max(view.top, whole.top);
    for (const { box } of inView.sort((a, b) => a.box.top - b.box.top)) if (box.top <= reached + gapPx) reached = Math.max(reached, box.bottom);
    const pictures = inView.every(({ item }) => {
      const image = item.querySelector('img');
      return image?.complete === true && image.naturalWidth > 0;
    });
    return { covered: reached >= Math.min(view.bottom, whole.bottom) - gapPx, pictures };
  };
  return new Promise((resolve) => {
    const startMs = performance.now();
    let before = startMs;
    let blankSince: number | null = null;
    let unseenSince: number | null = null;
    const told = { longestBlankMs: 0, longestFrameMs: 0, frames: 0, unseenMs: 0 };
    const onScroll = () => {
      if (!look().covered) blankSince ??= before;
    };
    document.addEventListener('scroll', onScroll, { capture: true });
    const frame = () => {
      told.frames++;
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const nowMs = performance.now();
        const atEnd = look();
        told.longestFrameMs = Math.max(told.longestFrameMs, nowMs - before);
        before = nowMs;
        if (!atEnd.covered) blankSince ??= nowMs;
        if (atEnd.covered && blankSince !== null) {
          told.longestBlankMs = Math.max(told.longestBlankMs, nowMs - blankSince);
          blankSince = null;
        }
        if (!atEnd.pictures) unseenSince ??= nowMs;
        else if (unseenSince !== null) {
          told.unseenMs = Math.max(told.unseenMs, nowMs - unseenSince);
          unseenSince = null;
        }
        if (nowMs - startMs < durationMs) requestAnimationFrame(frame);
        else {
          document.removeEventListener('scroll', onScroll, { capture: true });
          if (blankSince !== null) told.longestBlankMs = Math.max(told.longestBlankMs, nowMs - blankSince);
          if (unseenSince !== null) told.unseenMs = Math.max(told.unseenMs, nowMs - unseenSince);
          resolve(told);
        }
      };
      channel.port2.postMessage(null);
    };
    requestAnimationFrame(frame);
  });
}
