// What a processor does and our core does not do yet. A section or line that the core gets right must go from here: its
// test fails then.

export interface Gap {
  readonly image: string;
  /** A whole section by its title, or one line that a processor tells. */
  readonly section?: string;
  readonly right?: string;
  readonly why: string;
}

export const KNOWN_GAPS: readonly Gap[] = [
  {
    image: "protected",
    right:
      "alignment check: #00000011 error=00000000 ip=+00000000 cs=0000001b fl=00040002 ss=00000023 sp=002c0000 inner=00290000",
    why: "no alignment checks (#AC, SDM vol. 3A 6.15): the TLB's fast path does not look at the low address bits",
  },
  {
    image: "long",
    section: "single step of a repeated instruction",
    why: "a repeat is one step; a processor traps after each element (SDM vol. 3A 17.3.2)",
  },
];
