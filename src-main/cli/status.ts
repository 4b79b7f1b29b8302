import { z } from 'zod';
import { readCommandOptions } from '#main/config/command-options.ts';
import { devicesSchema } from '#shared/domain/device.ts';
import { infoSchema } from '#shared/protocol/http.ts';
import { clientOptions, connect, type ServerStarter } from './connect.ts';
import { megabytes } from './print.ts';

const statusUsage = `Usage: zimage status [--json] [--url URL]

Shows the running server: its model, device, queue and disk. Exit status 1 without one.`;
const reportUsage = `Usage: zimage doctor [--json] [--url URL]

Shows what the machine of the running server can use to make images, and why not the rest.`;
export const optionsSchema = z.object(clientOptions);

export async function status(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const options = readCommandOptions(optionsSchema, statusUsage, argv);
  const { studio, url, close } = await connect(options, starter);
  const info = infoSchema.parse(await studio.call('/api/info'));
  await close();
  if (options.json) return print([JSON.stringify({ url, ...info })]);
  const { version, models, upscaler, engine, queue, disk } = info;
  const active = models.filter((model) => model.active).map(({ name, model_type }) => `${name} (${model_type})`);
  print([
    `server    ${url}, version ${version}`,
    `models    ${active.join(', ') || 'none'}`,
    `upscaler  ${upscaler?.name ?? 'none'}`,
    `device    ${engine.device}, ${engine.state}: ${engine.device_reason}`,
    `queue     ${queue.running} running, ${queue.waiting} waiting${queue.paused ? ', paused' : ''}`,
    `disk      ${disk === null ? 'unknown' : `${megabytes(disk.free_bytes)} free`}`,
  ]);
}

/** `zimage doctor` where the program has no engine of its own: what the running server found. */
export async function serverReport(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const options = readCommandOptions(optionsSchema, reportUsage, argv);
  const { studio, close } = await connect(options, starter);
  const found = devicesSchema.parse(await studio.call('/api/devices'));
  await close();
  if (options.json) return print([JSON.stringify(found)]);
  const lines = found.devices.flatMap(({ provider, state, reason, active }) => [`${provider}: ${state}${active ? ', in use' : ''}`, `  ${reason}`]);
  print([`ONNX Runtime ${found.onnxruntime}`, ...lines]);
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
