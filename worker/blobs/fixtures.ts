import type { ConfigDefaults } from "../../jobs/spec.ts";

/** A fixture as it is stored in R2 under `fixtures/NAME.json`; its files are blobs. */
export interface StoredFixture {
  readonly name: string;
  readonly kernel: { readonly sha256: string };
  readonly initrd?: { readonly sha256: string };
  /** Used where a job's config says nothing. */
  readonly defaults: ConfigDefaults;
}

const PREFIX = "fixtures/";
export const fixtureKey = (name: string): string => `${PREFIX}${name}.json`;

export async function findFixture(bucket: R2Bucket, name: string): Promise<StoredFixture | undefined> {
  const object = await bucket.get(fixtureKey(name));
  return object === null ? undefined : object.json<StoredFixture>();
}

/** Names of the stored fixtures, sorted. */
export async function listStoredFixtures(bucket: R2Bucket): Promise<string[]> {
  const { objects } = await bucket.list({ prefix: PREFIX });
  return objects.map(({ key }) => key.slice(PREFIX.length).replace(/\.json$/, "")).sort();
}
