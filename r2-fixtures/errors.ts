/** Why a fixture cannot be had here. */
export type FixtureUnavailableCode =
  /** This system has no Debian package client. */
  | "no-package-client"
  /** The package client knows no such package. */
  | "unknown-package"
  /** The index or the package could not be downloaded. */
  | "download-failed"
  /** The package lacks the file, or the package client's own check failed. */
  | "bad-package"
  /** A file of this repository is missing. */
  | "missing-file";

/** A fixture cannot be had on this machine; `remedy` is one line that says what to do about it. */
export class FixtureUnavailable extends Error {
  readonly fixture: string;
  readonly code: FixtureUnavailableCode;
  readonly remedy: string;

  constructor(fixture: string, code: FixtureUnavailableCode, problem: string, remedy: string) {
    super(`${fixture}: ${problem}; ${remedy}`);
    this.name = "FixtureUnavailable";
    this.fixture = fixture;
    this.code = code;
    this.remedy = remedy;
  }
}

/** There is no fixture of this name. */
export class UnknownFixture extends Error {
  constructor(name: string, known: readonly string[]) {
    super(`there is no fixture "${name}"; known: ${known.join(", ")}`);
    this.name = "UnknownFixture";
  }
}
