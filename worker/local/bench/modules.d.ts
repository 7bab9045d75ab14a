declare module "*.bin" {
  /** The file's bytes (module type "Data"). */
  const bytes: ArrayBuffer;
  export default bytes;
}
