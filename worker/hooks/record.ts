/** Something to be run because of a delivery. Its id is made with it, so that it is made once, however often that is tried. */
export interface Run {
  readonly kind: "job" | "batch";
  readonly id: string;
  /** Which rule of the configuration asked for it; null if the delivery did itself. */
  readonly rule: string | null;
  /** Id of the token in whose name it is made. */
  readonly token: string;
  /** As POST /jobs or POST /batches take it, but that kernel and initrd may be {"url": …}. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Hosts from which those may be fetched. */
  readonly hosts: readonly string[];
}

export type HookSource = "github" | "generic";
export type HookState = "accepted" | "done" | "failed";

/** A delivery that was accepted, as the API shows it. */
export interface HookView {
  /** GitHub's X-GitHub-Delivery, or webhook-id. */
  readonly id: string;
  readonly source: HookSource;
  /** What happened, such as "push". */
  readonly event: string;
  readonly state: HookState;
  readonly receivedAt: string;
  readonly attempts: number;
  /** Why it failed, or the last attempt did. */
  readonly error: string | null;
  readonly runs: readonly {
    readonly kind: Run["kind"];
    readonly id: string;
    readonly rule: string | null;
    readonly links: { readonly self: string };
  }[];
}

/** Where a page of the list of deliveries ends: the next one begins behind it. */
export interface HookPosition {
  /** Milliseconds. */
  readonly receivedAt: number;
  readonly source: HookSource;
  readonly id: string;
}

/** A delivery before it is accepted. */
export interface NewHook {
  readonly id: string;
  readonly source: HookSource;
  readonly event: string;
  /** SHA-256 of the body: GitHub's id of a delivery is not signed, the body is. */
  readonly hash: string;
  readonly runs: readonly Run[];
}

/** What whoever makes the jobs is told. */
export interface HookTask {
  readonly runs: readonly Run[];
  readonly claim: number;
  /** Whether what fails now is not tried again. */
  readonly isLast: boolean;
}

/** What came of it. */
export interface HookOutcome {
  /** null if all is made. */
  readonly error: string | null;
  /** Whether trying again makes sense. */
  readonly again: boolean;
}

/** The configuration, as the API shows it. */
export interface StoredConfig {
  /** 1, 2, 3 ... */
  readonly version: number;
  readonly createdAt: string;
  /** Id of the token that made it. */
  readonly by: string;
  /** As it was sent. */
  readonly config: unknown;
}
