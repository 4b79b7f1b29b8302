/** Checks of the current page. Each function is serialized into the page, so it must not use anything outside itself. */

/** A description of the focused element, and whether its focus is visible: an outline on it, on its substitute, or around it. */
export function focusNow(): { name: string; isSeen: boolean } | null {
  const focused = document.activeElement;
  if (focused === null || focused === document.body) return null;
  const standIns = [focused, focused.closest('label'), focused.parentElement, ...(focused.nextElementSibling?.children ?? [])];
  let sibling = focused.nextElementSibling;
  while (sibling !== null) {
    standIns.push(sibling, ...sibling.children);
    sibling = sibling.nextElementSibling;
  }
  const isSeen = standIns.some((element) => {
    if (element === null) return false;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { width, height, top, bottom } = element.getBoundingClientRect();
    const isOutlined = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
    return isOutlined && width >= 12 && height >= 12 && bottom > 0 && top < window.innerHeight;
  });
  const label = focused.getAttribute('aria-label') ?? (focused instanceof HTMLInputElement ? focused.labels?.[0]?.textContent : focused.textContent) ?? '';
  return { name: `${focused.tagName.toLowerCase()} ${label.trim()}`, isSeen };
}

/** Marks every control that Tab must reach and returns their number; a group of radio buttons counts as one. */
export function markStops(): number {
  const controls = document.querySelectorAll<HTMLElement>('button, a[href], input, textarea, select, summary, [tabindex]');
  const groups = new Set<string>();
  let count = 0;
  for (const control of controls) {
    control.removeAttribute('data-stop');
    if (control.tabIndex < 0 || control.matches(':disabled') || !control.checkVisibility({ checkVisibilityCSS: true })) continue;
    const dialog = document.querySelector('dialog:modal');
    if (dialog !== null && !dialog.contains(control)) continue;
    const isRadio = control instanceof HTMLInputElement && control.type === 'radio';
    if (isRadio && groups.has(control.name)) continue;
    if (isRadio) groups.add(control.name);
    control.dataset['stop'] = isRadio ? `group ${control.name}` : 'single';
    count++;
  }
  return count;
}

/** Removes the mark from the focused element. */
export function passStop(): void {
  const focused = document.activeElement;
  if (focused instanceof HTMLInputElement && focused.type === 'radio') {
    for (const radio of document.querySelectorAll<HTMLInputElement>('input[type=radio]')) if (radio.name === focused.name) radio.removeAttribute('data-stop');
  } else focused?.removeAttribute('data-stop');
}

/** The marked controls that Tab did not reach. */
export function missedStops(): string[] {
  return [...document.querySelectorAll('[data-stop]')].map((element) => element.outerHTML.slice(0, 160));
}

/** Everything that a user cannot reach or read at this size: boxes that scroll sideways, controls outside the view or covered, words that are cut off. */
export function outOfReach(): string[] {
  const faults: string[] = [];
  const name = (element: Element) =>
    `${element.tagName.toLowerCase()} "${(element.getAttribute('aria-label') ?? element.textContent ?? '').trim().slice(0, 40)}"`;
  for (const box of document.querySelectorAll('html, body, main, nav, form, dialog[open]')) {
    if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== 'visible') faults.push(`scrolls sideways: ${name(box)}`);
  }
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push('the page is wider than the window');
  if (document.documentElement.scrollHeight > window.innerHeight) faults.push('the page itself is longer than the window');
  const scope = document.querySelector('dialog:modal') ?? document;
  for (const control of scope.querySelectorAll<HTMLElement>('button, a[href], input, textarea, select, summary')) {
    if (!control.checkVisibility({ checkVisibilityCSS: true }) || control.matches(':disabled')) continue;
    // a radio button for screen readers represents its label; the line between two images has no position of its own
    const target = control.offsetWidth <= 1 ? control.closest('label') : control;
    if (target === null) continue;
    target.scrollIntoView({ block: 'center', behavior: 'instant' });
    const { left, right, top, bottom, width, height } = target.getBoundingClientRect();
    if (left < -1 || right > window.innerWidth + 1) faults.push(`beside the view: ${name(control)}`);
    const hit = document.elementFromPoint(left + width / 2, Math.min(window.innerHeight - 1, Math.max(0, (top + bottom) / 2)));
    const isItself = hit !== null && target.contains(hit);
    if (height > 0 && !isItself) faults.push(`covered: ${name(control)} by ${hit === null ? 'nothing' : name(hit)}`);
    const isClipped = target.scrollWidth > target.clientWidth + 1 && getComputedStyle(target).overflowX !== 'visible';
    if (isClipped && !(control instanceof HTMLInputElement)) faults.push(`words cut: ${name(control)}`);
  }
  return faults;
}

/** Names of the running animations and transitions, except very short ones. */
export function movements(): string[] {
  return document.getAnimations().flatMap((animation) => {
    const duration = animation.effect?.getComputedTiming().duration;
    if (typeof duration !== 'number' || duration <= 1) return [];
    return [animation instanceof CSSAnimation ? animation.animationName : animation instanceof CSSTransition ? animation.transitionProperty : animation.id];
  });
}

/** Resolves once the page shows the colours of this scheme: the frame in which they change, one to see them, and their transitions. */
export async function coloursShown(scheme: 'light' | 'dark'): Promise<void> {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  while (!window.matchMedia(`(prefers-color-scheme: ${scheme})`).matches) await frame();
  await frame();
  await frame();
  await Promise.allSettled(document.getAnimations().flatMap((animation) => (animation instanceof CSSTransition ? [animation.finished] : [])));
}
