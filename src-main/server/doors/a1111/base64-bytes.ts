/** The bytes of base64 with or without a data URI in front. */
export function base64Bytes(text: string): Buffer {
  return Buffer.from(text.replace(/^data:[^,]*,/, ''), 'base64');
}
