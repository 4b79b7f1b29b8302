import { z } from 'zod';
import { floatTypes } from './widen-floats.ts';

/** What the compiler writes and inference loads: all that the two rooms share. */

/** Prompts are cut to this many tokens, chat template included; graphs and memory plans are made for it. */
export const MAX_PROMPT_TOKENS = 512;

/**
 * What graphs are made for. `cpu` ones are float32 around their quantized products, of which `fast` quantizes activations to int8. On a GPU `gpu-bf16` is
 * bfloat16 throughout; `gpu-fp16` keeps the residual stream in float32 and scales what could leave float16's range; `gpu-fp32` is float32. `emulated` ones
 * give on a CPU what the GPU's would: each value is rounded as there and computed in float32. VAE and upscaler are float32 everywhere.
 */
export type GraphTarget = 'cpu-exact' | 'cpu-fast' | 'gpu-fp32' | 'gpu-bf16' | 'gpu-fp16' | 'emulated-bf16' | 'emulated-fp16';

/** Bytes that a graph takes, computed from its shapes; see `inference/memory-plan.ts` for what a run takes beside them. */
const graphMemorySchema = z.object({
  /** Of its weights once loaded, in the type that they are computed in. */
  loadedBytes: z.number(),
  /** The peak of all values during a run: linear in the tokens of the image or prompt, or in the input pixels of a VAE or upscaler. */
  runningBytes: z.object({ fixed: z.number(), perUnit: z.number() }),
});
export type GraphMemory = z.infer<typeof graphMemorySchema>;

const graphFiles = z.object({
  /** The ONNX file. */
  onnxPath: z.string(),
  /** The folder that external data in the graph is relative to. */
  weightsDir: z.string(),
});
export type GraphFiles = z.infer<typeof graphFiles>;

const graph = graphFiles.extend({ memory: graphMemorySchema });
export type CompiledGraph = z.infer<typeof graph>;

/** Floats in a safetensors file. */
const storedFloats = z.object({ dtype: z.enum(floatTypes), offset: z.number(), count: z.number() });
export type StoredFloats = z.infer<typeof storedFloats>;

const convolution = z.object({
  kind: z.literal('convolution'),
  /** Images by index. Of the input the first `inChannels` channels are read; the output is written from its channel `outStart` on. */
  input: z.number(),
  inChannels: z.number(),
  output: z.number(),
  outStart: z.number(),
  outChannels: z.number(),
  /** [outChannels, inChannels, 3, 3]; the image stays as large as it is. */
  weight: storedFloats,
  bias: storedFloats,
  /** Factor for values below zero: one for all channels, or one per channel. */
  slope: z.union([z.number(), storedFloats]),
  /** Factor for the result, and the images that are then added: at most two, the second with scale 1. */
  scale: z.number(),
  added: z.array(z.object({ image: z.number(), scale: z.number() })),
});

/** Every pixel as 2 x 2. */
const enlargement = z.object({ kind: z.literal('enlarge'), input: z.number(), output: z.number() });

/** A network of 3 x 3 convolutions, for our own kernels on the CPU; its weights are read from the original file. */
const convolutionNetwork = z.object({
  path: z.string(),
  /** Channels of each image, and its scale relative to the first one, which is the input: RGB and a fourth channel of zeros. */
  images: z.array(z.object({ channels: z.number(), enlargement: z.number() })),
  layers: z.array(z.discriminatedUnion('kind', [convolution, enlargement])),
  /**
   * The image that contains the result: three channels, or three times `factor` squared, which become pixels (PixelShuffle). If it `addsInput`, the
   * pixels of the input are added to them.
   */
  result: z.object({ image: z.number(), factor: z.number(), addsInput: z.boolean() }),
});
export type ConvolutionNetwork = z.infer<typeof convolutionNetwork>;
export type Convolution = z.infer<typeof convolution>;

/** Begin the names of the inputs by which a graph takes LoRAs; a linear's name follows. */
export const LORA_DOWN = 'lora_down.';
export const LORA_UP = 'lora_up.';

const loraTarget = z.object({
  /** The graph that computes it. */
  part: z.enum(['captionRefiner', 'denoiser']),
  /** In diffusers' module tree. */
  name: z.string(),
  inWidth: z.number(),
  outWidth: z.number(),
});
export type LoraTarget = z.infer<typeof loraTarget>;

/** What a LoRA file adds to the weight of each linear that it names: `up` [outWidth, rank] times `down` [rank, inWidth], all factors of the file applied. */
export interface Lora {
  /** Hash of the file's content. */
  identity: string;
  modules: ReadonlyMap<string, LoraFactors>;
}
export interface LoraFactors {
  rank: number;
  down: Float32Array;
  up: Float32Array;
}

/** What decides where a part runs and how long it stays loaded: `text` runs once a prompt, `brief` once a job, the others make the image. */
export const partRoles = ['text', 'brief', 'denoiser', 'decoder'] as const;
export type PartRole = (typeof partRoles)[number];

/**
 * What the memory of a part's run is counted in: tokens of the longest prompt, tokens of the image, those and the tokens of the encoded images, latent pixels of
 * the image, latent pixels of the largest encoded image, or nothing that changes.
 */
const unitSchema = z.enum(['promptTokens', 'imageTokens', 'sequenceTokens', 'latentPixels', 'encodedPixels', 'none']);
export type PartUnit = z.infer<typeof unitSchema>;

/** One graph of a checkpoint, and how a memory plan counts it. */
const part = z.object({ role: z.enum(partRoles), unit: unitSchema, graph });
export type CompiledPart = z.infer<typeof part>;

const checkpointFields = {
  identity: z.string(),
  tokenizerDir: z.string(),
  schedulerDir: z.string(),
  latentChannels: z.number(),
  /** Image pixels per latent pixel, 8 or 16. */
  vaeScale: z.number(),
  /** Latent pixels per token and side, 2. */
  patchSize: z.number(),
};
const axes = z.tuple([z.number(), z.number(), z.number()]);

/** Graphs of a Z-Image checkpoint in the order in which they run, and the numbers that the pipeline around them needs, all read from its configs. */
const compiledZImageSchema = z.object({
  architecture: z.literal('z-image'),
  ...checkpointFields,
  parts: z.object({
    textEncoder: part,
    /** The part of the transformer that depends on the prompt only. */
    captionRefiner: part,
    /** Null if the checkpoint's VAE has no encoder; then no image can start from another. */
    vaeEncoder: part.nullable(),
    denoiser: part,
    vaeDecoder: part,
  }),
  vaeScalingFactor: z.number(),
  vaeShiftFactor: z.number(),
  /** Width of the text embedding. */
  captionWidth: z.number(),
  rope: z.object({
    theta: z.number(),
    /** Channels of a head for place in the sequence, row, column. */
    axes,
    /** Positions that each axis may ask for. */
    lengths: axes,
  }),
});
export type CompiledZImage = z.infer<typeof compiledZImageSchema>;

/** As `compiledZImageSchema`, of a FLUX.2 [klein] checkpoint. */
const compiledKleinSchema = z.object({
  architecture: z.literal('klein'),
  ...checkpointFields,
  parts: z.object({ textEncoder: part, prompt: part, vaeEncoder: part, modulation: part, denoiser: part, vaeDecoder: part }),
  /** Whether it was trained to need no guidance. */
  isDistilled: z.boolean(),
  /** By channel of a token: latents are normalized for the transformer. */
  latentNorm: z.object({ means: z.array(z.number()), deviations: z.array(z.number()) }),
  rope: z.object({
    theta: z.number(),
    /** Channels of a head for time, row, column and place in the text. */
    axes: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  }),
});
export type CompiledKlein = z.infer<typeof compiledKleinSchema>;

export const compiledCheckpointSchema = z.discriminatedUnion('architecture', [compiledZImageSchema, compiledKleinSchema]);
export type CompiledCheckpoint = z.infer<typeof compiledCheckpointSchema>;

/** Graphs that take the place of a checkpoint's own where a job has LoRAs or a ControlNet. */
export const denoiserVariantSchema = z.object({
  /** By the names of the parts that they replace. */
  graphs: z.object({ captionRefiner: graph, denoiser: graph }),
  /** Empty where the graphs take no LoRAs. */
  loraTargets: z.array(loraTarget),
  /** Channels of the input of the ControlNet: as many as the latents, or 33 if it can repaint; 0 without one. */
  controlChannels: z.number(),
});
export type DenoiserVariant = z.infer<typeof denoiserVariantSchema>;

export const compiledUpscalerSchema = z.object({
  identity: z.string(),
  architecture: z.enum(['RRDBNet', 'SRVGGNetCompact']),
  graph,
  /** The same network for our own kernels, where the target is `cpu-fast`. */
  convolutions: convolutionNetwork.nullable(),
  scale: z.number(),
  /** Overlap of tiles in input pixels per side; less would leave visible seams. */
  overlapPx: z.number(),
});
export type CompiledUpscaler = z.infer<typeof compiledUpscalerSchema>;
