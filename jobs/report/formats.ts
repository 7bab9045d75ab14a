/** Reports of a job: extension, media type, what it is. */
export const REPORTS = {
  json: ["application/json", "Everything the other reports say, for programs."],
  xml: ["application/xml", "JUnit XML, as GitHub, GitLab and Jenkins read it."],
  ktap: ["text/plain", "KTAP, version 1."],
  kcidb: ["application/json", "A submission to KernelCI's database (KCIDB, schema 5.3)."],
  md: ["text/markdown", "Markdown for a pull request's comment."],
} as const;
