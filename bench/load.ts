import { runParts } from './harness/run-parts.ts';
import { measureFanOut } from './load/fan-out.ts';
import { measureIdleSockets } from './load/idle-sockets.ts';
import { measurePeers } from './load/peer.ts';
import { measureProgressDelay } from './load/progress-delay.ts';
import { measureSlowDoors } from './load/slow-doors.ts';
import { measureSlowReaders } from './load/slow-readers.ts';
import { measureSoak } from './load/soak.ts';
import { measureSubmits } from './load/submit.ts';

/** `npm run load [-- PART …]`: load on the server, each figure with its limit. Without a part everything but the soak test. */
await runParts('load', {
  submit: { duration: 'half a minute', measure: measureSubmits },
  'fan-out': { duration: '20 seconds', measure: measureFanOut },
  idle: { duration: '20 seconds', measure: measureIdleSockets },
  delay: { duration: '20 seconds', measure: measureProgressDelay },
  slow: { duration: 'half a minute', measure: measureSlowReaders },
  doors: { duration: 'half a minute', measure: measureSlowDoors },
  peer: { duration: 'a minute, and once one more to install the peer', measure: measurePeers },
  soak: { duration: '20 minutes', measure: measureSoak, isOptional: true },
});
