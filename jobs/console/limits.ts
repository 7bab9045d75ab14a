/** What is remembered of a console. It is part of a job's checkpoints, and a hostile guest prints as much as it may. */

/** Distinct events (by title) that are kept; the others are counted. */
export const EVENTS = 32;
/** Lines and characters of an event's excerpt. */
export const EXCERPT_LINES = 64;
export const EXCERPT_CHARACTERS = 6_000;
/** Further lines an excerpt may have if they say what happened, such as which process was killed. */
export const KEY_LINES = 4;
export const LINE_CHARACTERS = 240;
/** Lines before a panic that belong to its excerpt, such as the partitions Linux lists before it gives up. */
export const CONTEXT_LINES = 4;
/** Lines after which an event that nothing ended is over. */
export const EVENT_LINES = 120;
export const TITLE_CHARACTERS = 160;
/** Initcalls under way that are remembered. */
export const INITCALLS = 16;
