declare module "*.elf" {
  /** The file's bytes (wrangler rule "Data"). */
  const bytes: ArrayBuffer;
  export default bytes;
}

declare module "*.sql" {
  const text: string;
  export default text;
}

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
