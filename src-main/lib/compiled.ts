/** What the compiler leaves and inference loads: the only thing that the two rooms share. */

/** `cpu` graphs are float32 around their quantized products. */
export type GraphTarget = 'cpu-exact' | 'cpu-fast';

export interface CompiledGraph {
  /** The ONNX file. */
  onnxPath: string;
  /** The folder that external data in the graph is relative to: the published weights' own folder, or the compiled one. */
  weightsDir: string;
}

/** Graphs of a text-to-image checkpoint and the numbers that the pipeline around them needs, all read from its configs. */
export interface CompiledCheckpoint {
  identity: string;
  textEncoder: CompiledGraph;
  transformer: CompiledGraph;
  vaeDecoder: CompiledGraph;
  tokenizerDir: string;
  /** FlowMatchEulerDiscreteScheduler: static shift of the sigmas. */
  schedulerShift: number;
  latentChannels: number;
  /** Picture pixels a latent pixel, 8 or 16. */
  vaeScaleFactor: number;
  vaeScalingFactor: number;
  vaeShiftFactor: number;
  /** Latent pixels a token a side, 2. */
  patchSize: number;
  captionWidth: number;
}

export interface CompiledUpscaler {
  identity: string;
  graph: CompiledGraph;
  scale: number;
  /** Input pixels on each side that an output pixel depends on, or the tile overlap that keeps seams invisible. */
  overlapPx: number;
}
