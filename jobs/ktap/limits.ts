/** What is kept of a console's test results. */

/** Results, those of groups included; further ones are counted. */
export const RESULTS = 10_000;
/** Groups inside groups. */
export const DEPTH = 16;
export const NAME_CHARACTERS = 200;
/** Lines of diagnostics kept for a result that is no pass. */
export const DIAGNOSTIC_LINES = 24;
export const DIAGNOSTIC_CHARACTERS = 240;
/** Failed tests named in a finding. */
export const NAMED_FAILURES = 5;
