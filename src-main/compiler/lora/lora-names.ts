import type { LoraTarget } from '#main/lib/compiled.ts';

/** Before module names, in any order and number. */
const PREFIXES = [
  'base_model.model.',
  'base_model_model_',
  'model.diffusion_model.',
  'transformer.',
  'diffusion_model.',
  'lora_unet__',
  'lora_unet_',
  'lora_transformer_',
  'lycoris_',
];

/** Ends of tensor names, as peft, kohya and diffusers' own trainer write them. */
const PARTS = {
  down: ['lora_A.weight', 'lora_down.weight', 'lora.down.weight'],
  up: ['lora_B.weight', 'lora_up.weight', 'lora.up.weight'],
  alpha: ['alpha'],
  w1: ['lokr_w1'],
  w1a: ['lokr_w1_a'],
  w1b: ['lokr_w1_b'],
  w2: ['lokr_w2'],
  w2a: ['lokr_w2_a'],
  w2b: ['lokr_w2_b'],
} as const;
export type LoraPart = keyof typeof PARTS;

/** The module of a tensor and what the tensor is of it; null for tensors of another kind. */
export function parseLoraName(name: string): { module: string; part: LoraPart } | null {
  const plain = name.replaceAll('default.', '');
  for (const [part, ends] of Object.entries(PARTS)) {
    const end = ends.find((candidate) => plain.endsWith(`.${candidate}`));
    if (end !== undefined) return { module: withoutPrefixes(plain.slice(0, -end.length - 1)), part: part as LoraPart };
  }
  return null;
}

export function isTextEncoderName(name: string): boolean {
  return /^(base_model\.model\.)?(text_encoder|lora_te|te\d?\.)/.test(name);
}

/** Keys whose weights are split into direction and magnitude. */
export function isDoraName(name: string): boolean {
  return /dora_scale|lora_magnitude_vector|\.magnitude$/.test(name);
}

function withoutPrefixes(module: string): string {
  const prefix = PREFIXES.find((candidate) => module.startsWith(candidate));
  return prefix === undefined ? module : withoutPrefixes(module.slice(prefix.length));
}

/** What a module of a file changes: one linear, or the three of a fused attention, in the order of their rows. */
export interface LoraPlace {
  targets: LoraTarget[];
  /** Another published name of the same linear, which gives way to the proper name where a file has both. */
  isAlias: boolean;
}

/** Finds the linears that a module name means, in any published spelling; null where the model has none. */
export function createLoraPlaces(targets: readonly LoraTarget[]): (module: string) => LoraPlace | null {
  // kohya writes dots as underscores, so every name is compared in that form
  const flat = (name: string): string => name.replaceAll('.', '_');
  const places = new Map<string, LoraPlace>();
  for (const target of targets) {
    const { name } = target;
    places.set(flat(name), { targets: [target], isAlias: false });
    const alias = (other: string): void => {
      places.set(flat(other), { targets: [target], isAlias: true });
    };
    if (name.endsWith('.attention.to_out.0')) {
      alias(name.replace('to_out.0', 'out'));
      alias(name.replace(/\.0$/, ''));
    }
    if (/^all_(x_embedder|final_layer)\./.test(name)) alias(name.replace(/^all_(\w+?)\.\d+-\d+/, '$1'));
    if (name.endsWith('.attention.to_q')) {
      const parts = ['to_q', 'to_k', 'to_v'].map((part) => targets.find((other) => other.name === name.replace('to_q', part)));
      places.set(flat(name.replace('to_q', 'qkv')), { targets: parts.filter((part) => part !== undefined), isAlias: true });
    }
  }
  return (module) => places.get(flat(module)) ?? null;
}
