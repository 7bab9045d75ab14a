/** Where the benchmark's parts lie in guest-physical memory. The stub's own place and PARAMETERS are in stub.S too. */

export const PAGE_BYTES = 4096;
/** Size of the benchmark's guest; all of it is mapped one to one. */
export const MEMORY_BYTES = 16 * 1024 * 1024;

/** The stub's parameter block, then everything up to IMAGE_END: one piece that is loaded as it is. */
export const PARAMETERS = 0x20_0000;
export const IMAGE_BASE = PARAMETERS;
/** Page tables: L4, L3, L2, then one L1 for each 2 MiB. */
export const PAGE_TABLES = 0x20_1000;
export const LOOPS = 0x21_0000;
export const STACK_TOP = 0x23_0000;
export const SOURCE_BUFFER = 0x30_0000;
export const IMAGE_END = 0x31_0000;
export const DESTINATION_BUFFER = 0x32_0000;
export const SIEVE_ARRAY = 0x34_0000;
