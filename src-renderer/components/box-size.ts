import { type RefObject, useLayoutEffect, useRef, useState } from 'react';

export interface BoxSize {
  width: number;
  height: number;
}

/** Size of the element with `ref` in CSS pixels; zero before the first layout. */
export function useBoxSize<T extends HTMLElement>(): { ref: RefObject<T | null>; box: BoxSize } {
  const ref = useRef<T>(null);
  const [box, setBox] = useState<BoxSize>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const measure = () => setBox({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { ref, box };
}

/** The largest size of this shape that fits into `box`. */
export function fitInto(box: BoxSize, shape: BoxSize): BoxSize {
  const scale = Math.min(box.width / shape.width, box.height / shape.height);
  return { width: shape.width * scale, height: shape.height * scale };
}
