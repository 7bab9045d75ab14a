/** Every number that bounds a batch, in one place. */

/** Jobs of one batch: what a deployment allows unless it says otherwise, and the most it may allow. */
export const BATCH_JOBS = { default: 1_000, most: 10_000 } as const;
/** Values of one axis of a matrix. */
export const AXIS_VALUES = 256;
/** Entries of `include`, and of `exclude`. */
export const MATRIX_RULES = 256;
/** Jobs of one batch that run at the same time. */
export const CONCURRENCY = { default: 16, min: 1, max: 256 } as const;
/** Characters of a batch's name, and of a member's. */
export const NAME_CHARACTERS = 200;
/** What all members are together, as JSON: a matrix with long values multiplies them. */
export const EXPANDED_CHARACTERS = 16 * 1024 * 1024;
/**
 * The same in bytes, on its way between objects, where a call has at most 32 MiB and a text has two bytes for each character if one of
 * them is beyond Latin-1.
 */
export const EXPANDED_BYTES = 30 * 1024 * 1024;
/** Characters that one value may take in a member's name. */
export const NAMED_VALUE_CHARACTERS = 48;
