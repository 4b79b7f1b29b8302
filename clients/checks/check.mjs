/** Runs the checks of a file: [client, call, function that throws if the answer is wrong]. Each verdict is a line of JSON on standard output. */
export async function runChecks(checks) {
  for (const [client, call, check] of checks) {
    try {
      await check();
      console.log(JSON.stringify({ client, call, verdict: 'works' }));
    } catch (error) {
      console.log(JSON.stringify({ client, call, verdict: 'fails', reason: String(error?.message ?? error).slice(0, 300) }));
    }
  }
  process.exit();
}

export function assert(isTrue, what) {
  if (!isTrue) throw new Error(`not so: ${what}`);
}

export function assertPng(bytes) {
  assert(Buffer.from(bytes).subarray(1, 4).toString() === 'PNG', 'the bytes are a PNG');
}
