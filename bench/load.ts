import { measureFanOut } from './load/fan-out.ts';
import { measureIdleSockets } from './load/idle-sockets.ts';
import { measurePeers } from './load/peer.ts';
import { measureProgressDelay } from './load/progress-delay.ts';
import { measureSlowReaders } from './load/slow-readers.ts';
import { measureSoak } from './load/soak.ts';
import { measureSubmits } from './load/submit.ts';
import { runParts } from './run-parts.ts';

/** `npm run load [-- PART …]`: how much the server bears, each figure with its limit. Without a part all but the soak. */
await runParts('load', {
  submit: { about: 'half a minute', measure: measureSubmits },
  'fan-out': { about: '20 seconds', measure: measureFanOut },
  idle: { about: '20 seconds', measure: measureIdleSockets },
  delay: { about: '20 seconds', measure: measureProgressDelay },
  slow: { about: 'half a minute', measure: measureSlowReaders },
  peer: { about: 'a minute, and once one more to install the peer', measure: measurePeers },
  soak: { about: '20 minutes', measure: measureSoak, onlyByName: true },
});
