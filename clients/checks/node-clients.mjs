// The checks with clients for Node.js: node node-clients.mjs URL CLI
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { DallEAPIWrapper } from '@langchain/openai';
import { Client as McpClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as McpClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as HttpTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { generateImage } from 'ai';
import OpenAI, { toFile } from 'openai';
import { Studio } from '../js/zimage.js';
import { assert, assertPng, runChecks } from './check.mjs';

const [url, cli] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const small = { size: '256x256', model: 'gpt-image-1' };
const mcpArguments = { prompt: 'a red fox', width: 256, height: 256, steps: 4, seed: 3 };

/** An image of 256 x 256 pixels, made once. */
let fox;
async function foxPng() {
  fox ??= Buffer.from((await openai.images.generate({ ...small, prompt: 'a red fox', seed: 3 })).data[0].b64_json, 'base64');
  return fox;
}
const foxFile = async (name = 'fox.png') => toFile(await foxPng(), name, { type: 'image/png' });

async function checkMcp(client, transport) {
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert(
    tools.some(({ name }) => name === 'generate_image'),
    'generate_image is listed',
  );
  let progress = 0;
  const onprogress = () => progress++;
  const answer = await client.callTool(
    { name: 'generate_image', arguments: { ...mcpArguments, seed: randomInt(2 ** 32) } },
    ...(client instanceof McpClientV1 ? [undefined, { onprogress }] : [{ onprogress }]),
  );
  assert(
    answer.content.some(({ type }) => type === 'resource_link'),
    'the answer links to the image',
  );
  assert(progress > 0, 'progress arrived');
  const [{ job_id: image }] = answer.structuredContent.images;
  for (const [name, more] of [
    ['edit_image', { prompt: 'a red fox at night', steps: 4 }],
    ['upscale_image', { scale: 2 }],
  ]) {
    const { structuredContent, isError, content } = await client.callTool({ name, arguments: { image, ...more } });
    assert(!isError && structuredContent.images[0].url !== null, `${name}: ${JSON.stringify(content).slice(0, 200)}`);
  }
  await client.close();
}

await runChecks([
  [
    'openai for Node.js',
    'images.generate',
    async () => {
      const { data } = await openai.images.generate({ ...small, prompt: 'a red fox' });
      assertPng(Buffer.from(data[0].b64_json, 'base64'));
    },
  ],
  [
    'openai for Node.js',
    'images.generate, stream',
    async () => {
      const types = [];
      for await (const event of await openai.images.generate({ ...small, prompt: 'streamed', stream: true, partial_images: 2 })) types.push(event.type);
      assert(types.at(-1) === 'image_generation.completed' && types.length > 1, `partial images, then the image: ${types}`);
    },
  ],
  [
    'openai for Node.js',
    'url',
    async () => {
      const { data } = await openai.images.generate({ ...small, prompt: 'linked', response_format: 'url' });
      assertPng(await (await fetch(data[0].url)).arrayBuffer());
    },
  ],
  [
    'openai for Node.js',
    'images.edit',
    async () => {
      const { data } = await openai.images.edit({ ...small, image: [await foxFile()], prompt: 'a red fox at night' });
      assertPng(Buffer.from(data[0].b64_json, 'base64'));
    },
  ],
  [
    'openai for Node.js',
    'images.edit, mask, stream',
    async () => {
      const types = [];
      const asked = { ...small, image: await foxFile(), mask: await foxFile('mask.png'), prompt: 'a blue fox', stream: true, partial_images: 1 };
      for await (const event of await openai.images.edit(asked)) types.push(event.type);
      assert(types.at(-1) === 'image_edit.completed', `the image at the end: ${types}`);
    },
  ],
  [
    'openai for Node.js',
    'images.createVariation',
    async () => {
      const { data } = await openai.images.createVariation({ image: await foxFile(), size: '256x256', response_format: 'b64_json' });
      assertPng(Buffer.from(data[0].b64_json, 'base64'));
    },
  ],
  ['openai for Node.js', 'models.list', async () => assert((await openai.models.list()).data.length > 0, 'there are models')],
  [
    'openai for Node.js',
    'a wrong size',
    async () => {
      const error = await openai.images.generate({ ...small, size: '7x7', prompt: 'x' }).catch((thrown) => thrown);
      assert(error instanceof OpenAI.BadRequestError && error.param === 'size', `BadRequestError with its param: ${error}`);
    },
  ],
  [
    'Vercel AI SDK',
    'generateImage',
    async () => {
      const provider = createOpenAICompatible({ name: 'zimage', baseURL: `${url}/v1` });
      const { image } = await generateImage({
        model: provider.imageModel('zimage'),
        prompt: 'a red fox',
        size: '256x256',
        providerOptions: { zimage: { steps: 4 } },
      });
      assertPng(image.uint8Array);
    },
  ],
  [
    'Vercel AI SDK',
    'generateImage, from an image',
    async () => {
      const provider = createOpenAICompatible({ name: 'zimage', baseURL: `${url}/v1` });
      const { image } = await generateImage({
        model: provider.imageModel('zimage'),
        prompt: { images: [await foxPng()], text: 'a red fox at night' },
        size: '256x256',
      });
      assertPng(image.uint8Array);
    },
  ],
  [
    'LangChain',
    'DallEAPIWrapper',
    async () => {
      const link = await new DallEAPIWrapper({ apiKey: 'none', model: 'dall-e-3', size: '1024x1024', baseUrl: `${url}/v1` }).invoke('a red fox');
      assertPng(await (await fetch(link)).arrayBuffer());
    },
  ],
  [
    'MCP client 2',
    'HTTP, 2026-07-28',
    () =>
      checkMcp(
        new McpClient({ name: 'check', version: '1' }, { versionNegotiation: { mode: 'auto' } }),
        new StreamableHTTPClientTransport(new URL(`${url}/mcp`)),
      ),
  ],
  [
    'MCP client 2',
    'HTTP, 2025-11-25',
    () => checkMcp(new McpClient({ name: 'check', version: '1' }), new StreamableHTTPClientTransport(new URL(`${url}/mcp`))),
  ],
  [
    'MCP client 2',
    'stdio',
    () => checkMcp(new McpClient({ name: 'check', version: '1' }), new StdioClientTransport({ command: process.execPath, args: [cli, 'mcp', '--url', url] })),
  ],
  ['MCP client 1', 'HTTP', () => checkMcp(new McpClientV1({ name: 'check', version: '1' }), new HttpTransportV1(new URL(`${url}/mcp`)))],
  [
    'MCP inspector',
    'tools/list',
    async () => {
      const inspector = new URL('node_modules/.bin/mcp-inspector', import.meta.url).pathname;
      assert(
        execFileSync(inspector, ['--cli', `${url}/mcp`, '--transport', 'http', '--method', 'tools/list']).includes('generate_image'),
        'generate_image is listed',
      );
    },
  ],
  [
    'zimage-client for JavaScript',
    'create, iterate, result',
    async () => {
      const studio = new Studio({ url });
      const job = studio.create({ prompt: 'a red fox', width: 256, height: 256, steps: 4, seed: randomInt(2 ** 32) });
      const types = new Set();
      for await (const { type } of job) types.add(type);
      assert(types.has('job_progress'), 'progress arrived');
      assertPng(await studio.image((await job.result()).result.filename));
      studio.close();
    },
  ],
  [
    'zimage-client for JavaScript',
    'edit, upscale',
    async () => {
      const studio = new Studio({ url });
      const png = new Uint8Array(await foxPng());
      const edited = await (await studio.edit(png, { prompt: 'a red fox at night', width: 256, height: 256, steps: 4, upscale: false })).result();
      const repainted = await (await studio.edit(edited.result.filename, { mask: png, prompt: 'a fox', width: 256, height: 256, upscale: false })).result();
      assertPng(await studio.image(repainted.result.filename));
      assertPng(await studio.image((await (await studio.upscale(png, { scale: 2 })).result()).result.filename));
      studio.close();
    },
  ],
]);
