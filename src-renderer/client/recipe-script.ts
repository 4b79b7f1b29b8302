import { type GenerateParams, jobRequest } from './create-job.ts';

/** Scripts that make the same image again, to be pasted into a terminal; each downloads both files. */

export interface ServerAddress {
  /** `http://name:port`, or `https:` behind a proxy. */
  origin: string;
  /** The access key, or null if the server needs none. */
  key: string | null;
}

/** For a browser's console or Node 22 and later; prints the addresses of both images. */
export function javaScriptProgram({ origin, key }: ServerAddress, params: GenerateParams): string {
  const token = key === null ? '' : `?token=${key}`;
  const request = jobRequest(params);
  return `const ws = new WebSocket('${origin.replace(/^http/, 'ws')}/api/ws${token}');
ws.onerror = () => console.error('No answer from ${origin}');
ws.onopen = () => ws.send(JSON.stringify({
  type: 'create_job',
  task_type: '${request.task_type}',
  request_id: '1',
  params: ${JSON.stringify(request.params)},
}));
ws.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === 'job_progress') console.log(message.progress.stage, message.progress.percentage + ' %');
  if (message.type === 'error') throw new Error(message.message);
  if (message.status === 'failed' || message.status === 'cancelled') throw new Error(message.error ?? message.status);
  if (message.status !== 'completed') return;
  for (const name of [message.result.filename, message.result.upscaled_filename].filter(Boolean)) {
    console.log('${origin}/api/image/' + encodeURIComponent(name) + '${token}');
  }
  ws.close();
};
`;
}

/** For Python 3.8 and later without packages: its first lines are a minimal WebSocket client. */
export function pythonProgram({ origin, key }: ServerAddress, params: GenerateParams): string {
  const { protocol, hostname, port, host } = new URL(origin);
  const isSecure = protocol === 'https:';
  const name = hostname.replace(/^\[|\]$/g, '');
  const request = jobRequest(params);
  const authorization = key === null ? '' : `\\r\\nAuthorization: Bearer ${key}`;
  return `import base64, json, os, socket, ${isSecure ? 'ssl, ' : ''}struct, urllib.request

SERVER = "${origin}"
PARAMS = json.loads(${pythonString(JSON.stringify(request.params))})

sock = socket.create_connection(("${name}", ${port === '' ? (isSecure ? 443 : 80) : port}))
${
  isSecure
    ? `sock = ssl.create_default_context().wrap_socket(sock, server_hostname="${name}")
`
    : ''
}nonce = base64.b64encode(os.urandom(16)).decode()
sock.sendall(f"GET /api/ws HTTP/1.1\\r\\nHost: ${host}${authorization}\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Key: {nonce}\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n".encode())
stream = sock.makefile("rb")
answer = stream.readline().decode()
if " 101 " not in answer:
    raise SystemExit("the server refused: " + answer)
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

send(1, json.dumps({"type": "create_job", "task_type": "${request.task_type}", "request_id": "1", "params": PARAMS}).encode())
while True:
    message = receive()
    if message["type"] == "job_progress":
        print(message["progress"]["stage"], message["progress"]["percentage"], "%")
    if message["type"] == "error" or message.get("status") in ("failed", "cancelled"):
        raise SystemExit(message.get("message") or message.get("error") or message["status"])
    if message.get("status") == "completed":
        break
for name in filter(None, (message["result"]["filename"], message["result"].get("upscaled_filename"))):
    request = urllib.request.Request(f"{SERVER}/api/image/{urllib.request.quote(name)}"${key === null ? '' : `, headers={"Authorization": "Bearer ${key}"}`})
    with urllib.request.urlopen(request) as image, open(name, "wb") as file:
        file.write(image.read())
    print(name)
`;
}

/** Downloads the two files of a finished image. Creating a job needs a WebSocket, which curl cannot use in scripts. */
export function curlCommands({ origin, key }: ServerAddress, filenames: readonly string[]): string {
  const authorization = key === null ? '' : `-H ${shellString(`Authorization: Bearer ${key}`)} `;
  return filenames
    .map((filename) => `curl -fsS ${authorization}-o ${shellString(filename)} ${shellString(`${origin}/api/image/${encodeURIComponent(filename)}`)}\n`)
    .join('');
}

/** A JSON string literal is valid Python. Escaped surrogate pairs would differ, but JSON.stringify does not write them. */
function pythonString(text: string): string {
  return JSON.stringify(text);
}

function shellString(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
