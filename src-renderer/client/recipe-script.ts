import type { TextToImageParams } from '#shared/domain/job.ts';

/** Programs that make the same picture again, to be pasted into a terminal; each fetches both files. `host` is `name:port` of the server. */

/** For a browser's console or Node 22 and later; prints the addresses of both pictures. */
export function javaScriptProgram(host: string, params: TextToImageParams): string {
  return `const ws = new WebSocket('ws://${host}/api/ws');
ws.onopen = () => ws.send(JSON.stringify({
  type: 'create_job',
  task_type: 'text_to_image',
  request_id: '1',
  params: ${JSON.stringify(params)},
}));
ws.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === 'job_progress') console.log(message.progress.stage, message.progress.percentage + ' %');
  if (message.type === 'error') throw new Error(message.message);
  if (message.status === 'failed' || message.status === 'cancelled') throw new Error(message.error ?? message.status);
  if (message.status !== 'completed') return;
  console.log('http://${host}/api/image/' + message.result.filename);
  console.log('http://${host}/api/image/' + message.result.upscaled_filename);
  ws.close();
};
`;
}

/** For Python 3.8 and later with nothing installed: the few lines at the top are all that is needed of a WebSocket. */
export function pythonProgram(host: string, params: TextToImageParams): string {
  const [name = host, port = '80'] = splitHost(host);
  return `import base64, json, os, socket, struct, urllib.request

HOST, PORT = ${JSON.stringify(name)}, ${port}
PARAMS = json.loads(${pythonString(JSON.stringify(params))})

sock = socket.create_connection((HOST, PORT))
key = base64.b64encode(os.urandom(16)).decode()
sock.sendall(f"GET /api/ws HTTP/1.1\\r\\nHost: {HOST}:{PORT}\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Key: {key}\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n".encode())
stream = sock.makefile("rb")
while stream.readline().strip():
    pass

def send(opcode, data):
    mask = os.urandom(4)
    size = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
    sock.sendall(bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

def receive():
    while True:
        first, size = stream.read(2)
        if size == 126:
            size, = struct.unpack("!H", stream.read(2))
        elif size == 127:
            size, = struct.unpack("!Q", stream.read(8))
        data = stream.read(size)
        if first & 15 == 1:
            return json.loads(data)
        if first & 15 == 9:
            send(10, data)
        if first & 15 == 8:
            raise SystemExit("the server closed the connection")

send(1, json.dumps({"type": "create_job", "task_type": "text_to_image", "request_id": "1", "params": PARAMS}).encode())
while True:
    message = receive()
    if message["type"] == "job_progress":
        print(message["progress"]["stage"], message["progress"]["percentage"], "%")
    if message["type"] == "error" or message.get("status") in ("failed", "cancelled"):
        raise SystemExit(message.get("message") or message.get("error") or message["status"])
    if message.get("status") == "completed":
        break
for name in (message["result"]["filename"], message["result"]["upscaled_filename"]):
    urllib.request.urlretrieve(f"http://{HOST}:{PORT}/api/image/{urllib.request.quote(name)}", name)
    print(name)
`;
}

/** Jobs are made over a WebSocket, which curl does not speak in scripts: these commands fetch the two files of a finished picture. */
export function curlCommands(host: string, filenames: readonly string[]): string {
  return filenames
    .map((filename) => `curl -fsS -o ${shellString(filename)} ${shellString(`http://${host}/api/image/${encodeURIComponent(filename)}`)}\n`)
    .join('');
}

function splitHost(host: string): [string, string] {
  const at = host.lastIndexOf(':');
  return at > host.lastIndexOf(']') ? [host.slice(0, at).replace(/^\[|\]$/g, ''), host.slice(at + 1)] : [host.replace(/^\[|\]$/g, ''), '80'];
}

/** A JSON string literal means the same in Python, but for the escapes of surrogate pairs, which JSON.stringify leaves out. */
function pythonString(text: string): string {
  return JSON.stringify(text);
}

function shellString(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
