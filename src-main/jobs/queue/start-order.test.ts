import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startOrder, type WaitingJob } from './start-order.ts';

function waiting(spec: string, more: Partial<WaitingJob> = {}): WaitingJob[] {
  return spec.split(' ').map((jobId, arrival) => ({ jobId, requester: jobId.slice(0, 1), arrival, place: null, ownWindow: false, ...more }));
}
const ids = (jobs: WaitingJob[]) => jobs.map(({ jobId }) => jobId).join(' ');

test.each([
  ['one client: first come, first served', 'a1 a2 a3', [], 'a1 a2 a3'],
  ['two clients take turns', 'a1 a2 a3 b1 b2', [], 'a1 b1 a2 b2 a3'],
  ['the one served last waits for the other', 'a1 a2 b1', [['a', 7]], 'b1 a1 a2'],
  [
    'the one served longest ago comes first',
    'a1 b1 c1',
    [
      ['a', 3],
      ['b', 1],
      ['c', 2],
    ],
    'b1 c1 a1',
  ],
] satisfies [string, string, [string, number][], string][])('%s', (_, spec, served, order) => {
  expect(ids(startOrder(waiting(spec), new Map(served)))).toBe(order);
});

test("the window's jobs come before others, those placed by hand before all", () => {
  const jobs = [...waiting('a1 a2'), ...waiting('w1 w2', { ownWindow: true }), ...waiting('b1', { place: 2 }), ...waiting('a9', { place: 1 })];
  expect(ids(startOrder(jobs, new Map()))).toBe('a9 b1 w1 w2 a1 a2');
  expect(ids(startOrder(jobs, new Map(), false))).toBe('a9 b1 a1 w1 a2 w2');
});

test('however many one client sends, another waits for at most one job of each client before each of its own', () => {
  const clients = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(clients, fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(9)), (requesters, served) => {
      const jobs = requesters.map((requester, arrival) => ({ jobId: `${requester}${arrival}`, requester, arrival, place: null, ownWindow: false }));
      const order = startOrder(jobs, new Map(Object.entries(served)));
      expect(order.map(({ jobId }) => jobId).sort()).toEqual(jobs.map(({ jobId }) => jobId).sort());
      for (const requester of new Set(requesters)) {
        const places = order.flatMap((job, place) => (job.requester === requester ? [place] : []));
        const arrivals = order.filter((job) => job.requester === requester).map(({ arrival }) => arrival);
        expect(arrivals).toEqual([...arrivals].sort((x, y) => x - y));
        for (const [nth, place] of places.entries()) {
          const jobsOfOthersAhead = (other: string) => order.slice(0, place).filter((job) => job.requester === other).length;
          for (const other of new Set(requesters)) if (other !== requester) expect(jobsOfOthersAhead(other)).toBeLessThanOrEqual(nth + 1);
        }
      }
    }),
  );
});
