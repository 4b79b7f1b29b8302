/** What is used of WebAssembly. TypeScript has its types among the browser's only, which `src-main` may not see. */

/** Compiled code; threads can be given it. */
export type WasmModule = { readonly [Symbol.toStringTag]: 'WebAssembly.Module' };

export interface WasmMemory {
  /** Another one after `grow`; what was laid over the last one stays valid. */
  readonly buffer: SharedArrayBuffer;
  /** By a number of 64 KiB pages. Throws a RangeError where there is no room. */
  grow(pages: number): number;
}

interface WebAssemblyApi {
  /** False also where the runtime lacks an instruction. */
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => WasmModule;
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => WasmMemory;
  Instance: new (module: WasmModule, imports: { env: { memory: WasmMemory } }) => { readonly exports: unknown };
}

export const { WebAssembly: webAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
