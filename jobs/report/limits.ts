/** What reports hold of a console. */

/** The end of the console, in UTF-16 units. */
export const CONSOLE_TAIL_CHARACTERS = 32_768;
/** KCIDB's log_excerpt: 16384 characters. */
export const KCIDB_EXCERPT_CHARACTERS = 16_384;
/** Tests listed by name in a Markdown report, and jobs. */
export const MARKDOWN_ROWS = 50;
/** GitHub refuses comments of more than 65536 characters. */
export const MARKDOWN_CHARACTERS = 60_000;
export const MARKDOWN_EXCERPT_LINES = 40;
export const BADGE_CHARACTERS = 80;
