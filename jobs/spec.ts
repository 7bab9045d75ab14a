/**
 * What a job may ask for. One schema, in schema/, says it; validation, these types, OpenAPI (openapi.ts) and its
 * descriptions all come from there.
 */
export {
  AT_END,
  CONFIG_FIELDS,
  type ConfigDefaults,
  DEFAULT_CMDLINE,
  type JobConfig,
  type LimitName,
  type Limits,
  type MachineFields,
  type Notification,
  parseConfig,
  parseForkConfig,
  type SnapshotPoint,
  type Step,
} from "./schema/config.ts";
export { describe } from "./schema/errors.ts";
export {
  type BlobReference,
  fieldsOf,
  parseReference,
  parseSha256,
  parseSnapshotName,
  parseSnapshotReference,
  type SnapshotReference,
} from "./schema/references.ts";
