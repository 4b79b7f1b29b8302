import { z } from 'zod';

/** An execution provider of ONNX Runtime. */
export const providerNameSchema = z.enum(['cpu', 'cuda', 'webgpu', 'dml', 'coreml']);
export type ProviderName = z.infer<typeof providerNameSchema>;

const cardNumberSchema = z.string().regex(/^\d{1,2}$/);

/** One place for models to run: a provider, and the number of the card where there may be several. `cuda` alone is `cuda:0`. */
export const deviceNameSchema = z.union([providerNameSchema, z.templateLiteral([z.enum(['cuda', 'dml']), ':', cardNumberSchema])]);
export type DeviceName = z.infer<typeof deviceNameSchema>;

/** The provider and the number of the card, 0 where the name has none. */
export function deviceParts(name: DeviceName): { provider: ProviderName; card: number } {
  const [provider, card = '0'] = name.split(':');
  return { provider: providerNameSchema.parse(provider), card: Number(card) };
}

/** How ONNX Runtime is called: through its C API or `onnxruntime-node`; `auto` uses the first that is available. */
export const ortBindings = ['auto', 'c-api', 'node'] as const;
export type OrtBinding = (typeof ortBindings)[number];

/** The binding in use and the reason. */
export const bindingInUseSchema = z.object({ binding: z.enum(['c-api', 'node']), reason: z.string() });
export type BindingInUse = z.infer<typeof bindingInUseSchema>;

/**
 * `works`: its numbers were right. `absent`: what it needs is not here. `too_old`: a card or a driver that it does not support. `refused`: ONNX Runtime
 * would not start it. `wrong`: it gave other numbers. `crashed`: it took its process down. `silent`: it did not answer.
 */
export const deviceStateSchema = z.enum(['works', 'absent', 'too_old', 'refused', 'wrong', 'crashed', 'silent']);

export const deviceSchema = z.object({
  provider: providerNameSchema,
  state: deviceStateSchema,
  /** One sentence: why it is in this state, and what would help. */
  reason: z.string(),
  /** Of the probe's chain of matrix products, median of three; null if it did not get that far. */
  milliseconds: z.number().nullable(),
  /** When it was probed, Unix seconds; null where it was not. */
  probed_at: z.number().nullable(),
  /** Whether it is used for images now. */
  active: z.boolean(),
  needs: z.string(),
  known_faults: z.array(z.string()),
});
export type Device = z.infer<typeof deviceSchema>;

export const gpuSchema = z.object({
  name: z.string(),
  driver: z.string(),
  /** `8.6`, or null if the driver does not report it. */
  compute_capability: z.string().nullable(),
  total_bytes: z.number().nullable(),
  free_bytes: z.number().nullable(),
});
export type Gpu = z.infer<typeof gpuSchema>;

export const devicesSchema = z.object({
  /** NVIDIA cards as their driver names them; other cards are seen by `webgpu`, `dml` and `coreml` only. */
  gpus: z.array(gpuSchema),
  devices: z.array(deviceSchema),
  onnxruntime: z.string(),
});
export type Devices = z.infer<typeof devicesSchema>;
