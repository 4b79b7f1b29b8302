import { closing, frame, opcode } from './raw-websocket.ts';

/**
 * Bytes on an open WebSocket with invalid frames, and the server's close code. `answers` are the types of the messages before the close; if the bytes
 * are a list, each part is sent after one more answer.
 * Sources: RFC 6455 (masking 5.1, frames 5.2, fragments 5.4, control frames 5.5, close codes 7.4), `docs/protocol.md` for sizes.
 */
export type FrameRow = [name: string, bytes: Buffer | readonly Buffer[], closed: number, answers?: string[]];

const watch = '{"type":"watch"}';
const text = (payload: string) => frame({ opcode: opcode.text, payload });
const goodbye = frame({ opcode: opcode.close, payload: closing(1000) });
/** Two things in one packet. */
const both = (...parts: Buffer[]) => Buffer.concat(parts);
const close = (code: number, reason?: string | Buffer) => frame({ opcode: opcode.close, payload: closing(code, reason) });

export const frameRows: FrameRow[] = [
  ['a text frame without a mask', frame({ opcode: opcode.text, payload: watch, masked: false }), 1002],
  ['a ping without a mask', frame({ opcode: opcode.ping, masked: false }), 1002],
  ['a close without a mask', frame({ opcode: opcode.close, payload: closing(1000), masked: false }), 1002],
  ['a good frame, then one without a mask', [text(watch), frame({ opcode: opcode.text, payload: watch, masked: false })], 1002, ['watching']],
  ['the first reserved bit, of compression that was not agreed', frame({ opcode: opcode.text, payload: watch, reserved: 4 }), 1002],
  ['the second reserved bit', frame({ opcode: opcode.text, payload: watch, reserved: 2 }), 1002],
  ['the third reserved bit', frame({ opcode: opcode.text, payload: watch, reserved: 1 }), 1002],
  ['all reserved bits', frame({ opcode: opcode.text, payload: watch, reserved: 7 }), 1002],
  ['a reserved bit in a ping', frame({ opcode: opcode.ping, reserved: 4 }), 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((code): FrameRow => [`opcode ${code}, which means nothing`, frame({ opcode: code, payload: watch }), 1002]),
  ['a continuation of nothing', frame({ opcode: opcode.continuation, payload: watch }), 1002],
  ['a continuation of nothing that goes on', frame({ opcode: opcode.continuation, payload: watch, fin: false }), 1002],
  ['a new text inside a fragmented one', both(frame({ opcode: opcode.text, payload: '{', fin: false }), text('}')), 1002],
  [
    'a binary frame inside a fragmented text',
    both(frame({ opcode: opcode.text, payload: '{', fin: false }), frame({ opcode: opcode.binary, payload: '}' })),
    1002,
  ],
  ['a fragmented ping', frame({ opcode: opcode.ping, fin: false }), 1002],
  ['a fragmented pong', frame({ opcode: opcode.pong, fin: false }), 1002],
  ['a fragmented close', frame({ opcode: opcode.close, fin: false, payload: closing(1000) }), 1002],
  ['a ping of 126 bytes', frame({ opcode: opcode.ping, payload: 'x'.repeat(126) }), 1002],
  ['a pong of 200 bytes', frame({ opcode: opcode.pong, payload: 'x'.repeat(200) }), 1002],
  ['a close of 126 bytes', frame({ opcode: opcode.close, payload: closing(1000, 'x'.repeat(124)) }), 1002],
  ['a frame of 64 KiB and a byte', text('x'.repeat(65_537)), 1009],
  ['a frame that claims a megabyte', frame({ opcode: opcode.text, claimedLength: 1_048_576 }), 1009],
  ['a frame that claims 2^53 bytes', frame({ opcode: opcode.text, claimedLength: 2 ** 53, lengthForm: 64 }), 1009],
  ['a frame that claims 2^62 bytes', frame({ opcode: opcode.text, claimedLength: 2 ** 62, lengthForm: 64 }), 1009],
  [
    'fragments of more than 64 KiB together',
    both(frame({ opcode: opcode.text, payload: 'x'.repeat(40_000), fin: false }), frame({ opcode: opcode.continuation, payload: 'x'.repeat(40_000) })),
    1009,
  ],
  [
    'a message in 100 fragments',
    both(
      frame({ opcode: opcode.text, payload: '{', fin: false }),
      ...Array.from({ length: 99 }, () => frame({ opcode: opcode.continuation, payload: ' ', fin: false })),
    ),
    1008,
  ],
  [
    'a message in 100 fragments without a byte',
    both(frame({ opcode: opcode.text, fin: false }), ...Array.from({ length: 99 }, () => frame({ opcode: opcode.continuation, fin: false }))),
    1008,
  ],
  ['a close of one byte', frame({ opcode: opcode.close, payload: Buffer.from([3]) }), 1002],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code): FrameRow => [`a close with the code ${code}`, close(code), 1002]),
  ['a close whose reason is not UTF-8', close(1000, Buffer.from([0xff, 0xfe])), 1007],
  ['a close whose reason ends inside a letter', close(1000, Buffer.from([0x61, 0xe7, 0x8c])), 1007],
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map(
    (code): FrameRow => [`a close with the code ${code}, which may be sent`, close(code), code],
  ),
  ['a close with the longest reason', close(1000, 'x'.repeat(123)), 1000],
  ['a close in the middle of a fragmented text', both(frame({ opcode: opcode.text, payload: '{', fin: false }), goodbye), 1000],
  ['a close, then a ping and another close', both(goodbye, frame({ opcode: opcode.ping }), close(4000)), 1000],
  ['a close without a code', frame({ opcode: opcode.close }), 1005],
  ['a close with a code of ours', close(4000, 'done'), 4000],
  ['a close, then a message, which is ignored', both(goodbye, text(watch)), 1000],
  ['text that is not UTF-8', frame({ opcode: opcode.text, payload: Buffer.from([0x22, 0xff, 0x22]) }), 1007],
  ['a good message, then text that is not UTF-8', [text(watch), frame({ opcode: opcode.text, payload: Buffer.from([0x80]) })], 1007, ['watching']],
  ['an overlong letter', frame({ opcode: opcode.text, payload: Buffer.from([0x22, 0xc0, 0xaf, 0x22]) }), 1007],
  ['half of a surrogate pair as UTF-8', frame({ opcode: opcode.text, payload: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]) }), 1007],
  ['a letter beyond Unicode', frame({ opcode: opcode.text, payload: Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]) }), 1007],
  ['text that ends inside a letter', frame({ opcode: opcode.text, payload: Buffer.from([0x22, 0xe7, 0x8c]) }), 1007],
  [
    'text in fragments that is not UTF-8 only in the last',
    both(frame({ opcode: opcode.text, payload: '{"type":"', fin: false }), frame({ opcode: opcode.continuation, payload: Buffer.from([0xff]) })),
    1007,
  ],
  [
    'a letter cut by two fragments, which is one letter',
    [
      both(
        frame({ opcode: opcode.text, payload: Buffer.concat([Buffer.from('{"type":"watch","pad":"'), Buffer.from([0xe7])]), fin: false }),
        frame({ opcode: opcode.continuation, payload: Buffer.concat([Buffer.from([0x8c, 0xab]), Buffer.from('"}')]) }),
      ),
      goodbye,
    ],
    1000,
    ['watching'],
  ],
  [
    'every byte of a message in a fragment of its own',
    [
      both(
        ...[...'{"type":"watch"}'].map((byte, i, all) =>
          frame({ opcode: i === 0 ? opcode.text : opcode.continuation, payload: byte, fin: i === all.length - 1 }),
        ),
      ),
      goodbye,
    ],
    1000,
    ['watching'],
  ],
  [
    'empty fragments around a complete one',
    [
      both(
        frame({ opcode: opcode.text, fin: false }),
        frame({ opcode: opcode.continuation, payload: watch, fin: false }),
        frame({ opcode: opcode.continuation }),
      ),
      goodbye,
    ],
    1000,
    ['watching'],
  ],
  [
    'a continuation after the last fragment',
    [
      both(frame({ opcode: opcode.text, payload: '{', fin: false }), frame({ opcode: opcode.continuation, payload: '}' })),
      frame({ opcode: opcode.continuation, payload: '}' }),
    ],
    1002,
    ['error'],
  ],
  [
    'a binary message, also in fragments, is answered',
    [both(frame({ opcode: opcode.binary, payload: '{', fin: false }), frame({ opcode: opcode.continuation, payload: Buffer.from([0xff]) })), goodbye],
    1000,
    ['error'],
  ],
  ['an empty text frame is answered', [text(''), goodbye], 1000, ['error']],
  ['a short length in 16 bits is read', [frame({ opcode: opcode.text, payload: watch, lengthForm: 16 }), goodbye], 1000, ['watching']],
  ['a short length in 64 bits is read', [frame({ opcode: opcode.text, payload: watch, lengthForm: 64 }), goodbye], 1000, ['watching']],
  [
    'a ping between two fragments is not part of them',
    [
      both(
        frame({ opcode: opcode.text, payload: '{"type":', fin: false }),
        frame({ opcode: opcode.ping }),
        frame({ opcode: opcode.continuation, payload: '"watch"}' }),
      ),
      goodbye,
    ],
    1000,
    ['watching'],
  ],
  ['an unrequested pong', [both(frame({ opcode: opcode.pong, payload: 'x' }), text(watch)), goodbye], 1000, ['watching']],
];
