import { expect, test } from 'vitest';
import { addStep, drawnSteps, emptyHistory, type MaskStep, redoStep, undoStep } from './mask-steps.ts';

const stroke = (x: number): MaskStep => ({ tool: 'brush', sizePx: 8, points: [{ x, y: 0 }] });

test('steps are undone and redone; a new step drops what was undone', () => {
  const two = addStep(addStep(emptyHistory, stroke(1)), stroke(2));
  const undone = undoStep(two);
  expect(drawnSteps(undone)).toEqual([stroke(1)]);
  expect(drawnSteps(redoStep(undone))).toEqual([stroke(1), stroke(2)]);
  const other = addStep(undone, { tool: 'invert' });
  expect(drawnSteps(redoStep(other))).toEqual([stroke(1), { tool: 'invert' }]);
});

test('at either end nothing happens', () => {
  expect(drawnSteps(undoStep(emptyHistory))).toEqual([]);
  expect(drawnSteps(redoStep(addStep(emptyHistory, stroke(1))))).toEqual([stroke(1)]);
});
