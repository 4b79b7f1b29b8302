import type { Accuracy, GenerateRequest, UpscaleRequest } from './protocol.ts';

export type EngineRequest = { type: 'generate'; params: GenerateRequest } | { type: 'upscale'; params: UpscaleRequest };

/** What a process has loaded. Sessions leak when they are replaced, so other models need another process. */
export class LoadedModels {
  #accuracy: Accuracy | null = null;
  readonly #models = new Map<EngineRequest['type'], string>();

  /** Whether the process can run this without replacing anything that it has loaded. */
  fits(request: EngineRequest): boolean {
    const held = this.#models.get(request.type);
    return (held === undefined || held === keyOf(request)) && (this.#accuracy === null || this.#accuracy === request.params.accuracy);
  }

  note(request: EngineRequest): void {
    this.#accuracy = request.params.accuracy;
    this.#models.set(request.type, keyOf(request));
  }
}

function keyOf({ type, params }: EngineRequest): string {
  if (type === 'generate') return JSON.stringify([params.checkpointDir, params.checkpointIdentity, params.memory]);
  return JSON.stringify([params.upscalerPath, params.upscalerIdentity, params.onCpu]);
}
