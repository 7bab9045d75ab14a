// What a processor does and our core does not do yet. A section or line that the core gets right must go from here: its
// test fails then.

export interface Gap {
  readonly image: string;
  /** A whole section by its title, or one line that a processor tells. */
  readonly section?: string;
  readonly right?: string;
  readonly why: string;
}

export const KNOWN_GAPS: readonly Gap[] = [];
