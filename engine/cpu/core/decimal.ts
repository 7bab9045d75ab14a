// DAA, DAS, AAA, AAS, AAM and AAD.

import { DE, raiseNoError } from "./exception";
import { AF, CF, getAF, getCF, setFlagsCO } from "./flags";
import { RAX } from "./layout";
import { Gen } from "./ops";

/** Decimal and ASCII adjustments (SDM vol. 2A). Undefined flags are left as the result gives them. */
export function decimal(fn: i32, imm: i32): i32 {
  let al = <u32>load<u8>(RAX);
  const ah = <u32>load<u8>(RAX, 1);
  let cf = getCF();
  let af = getAF();
  switch (fn) {
    case Gen.DAA:
    case Gen.DAS: {
      const old = al;
      const oldCf = cf;
      const low = (al & 15) > 9 || af;
      const high = old > 0x99 || oldCf;
      if (low) {
        cf = oldCf || (fn == Gen.DAA ? al > 0xf9 : al < 6);
        al = (fn == Gen.DAA ? al + 6 : al - 6) & 0xff;
      }
      af = low;
      if (high) {
        al = (fn == Gen.DAA ? al + 0x60 : al - 0x60) & 0xff;
        cf = true;
      } else if (fn == Gen.DAA) cf = false;
      else cf = low ? oldCf || old < 6 : false;
      break;
    }
    case Gen.AAA:
    case Gen.AAS: {
      const adjust = (al & 15) > 9 || af;
      if (adjust) {
        const ax = fn == Gen.AAA ? <u32>load<u16>(RAX) + 0x106 : <u32>load<u16>(RAX) - 6 - 0x100;
        store<u16>(RAX, <u16>ax);
      }
      al = <u32>load<u8>(RAX) & 15;
      cf = adjust;
      af = adjust;
      break;
    }
    case Gen.AAM:
      if ((imm & 0xff) == 0) return raiseNoError(DE);
      store<u8>(RAX, <u8>(al / (imm & 0xff)), 1);
      al = al % (imm & 0xff);
      cf = false;
      af = false;
      break;
    default: // AAD
      al = (al + ah * imm) & 0xff;
      store<u8>(RAX, 0, 1);
      cf = false;
      af = false;
  }
  store<u8>(RAX, <u8>al);
  setFlagsCO<u8>(<i64>(<i8>al), (cf ? CF : 0) | (af ? AF : 0));
  return 1;
}
