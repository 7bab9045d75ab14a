/** A job description that cannot be accepted. `field` is a path such as "config.limits.guestSeconds". */
export class SpecError extends Error {
  readonly code: string;
  readonly field: string;

  /** `message` says what is wrong and what to do about it. */
  constructor(code: string, field: string, message: string) {
    super(message);
    this.name = "SpecError";
    this.code = code;
    this.field = field;
  }
}
