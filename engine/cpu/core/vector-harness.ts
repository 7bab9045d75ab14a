// Entry of the vector unit's test build (engine/cpu/vector-oracle/machine.ts): this unit alone, without the integer core.
import { EXC_VECTOR } from "./layout";

export { decodeVector } from "./vector-decode";
export { execVector } from "./vector";
export { execX87, x87Wait } from "./x87";
export { x87Defined } from "./x87-decode";
export { getArithFlags, setArithFlags } from "./flags";

/** The vector of the exception that was marked last. */
export function exceptionVector(): i32 {
  return load<i32>(EXC_VECTOR);
}
