// The x87 status word's summary, which everything that changes flags or masks must keep.
import { FCW, FSW } from "./layout";

/** Sets ES and B of the status word if an exception is flagged that the control word does not mask; else clears them. */
export function updateSummary(): void {
  const fsw = <u32>load<u16>(FSW);
  const pending = fsw & ~(<u32>load<u16>(FCW)) & 0x3f;
  store<u16>(FSW, <u16>(pending ? fsw | 0x8080 : fsw & ~0x8080));
}
