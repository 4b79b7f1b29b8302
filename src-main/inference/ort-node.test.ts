import { describeSessions } from '../../tests/support/session-conformance.ts';
import { createNodeSession } from './ort-node.ts';

describeSessions(createNodeSession, { hasBfloat16: false });
