import type { MemberView } from "../batches/member.ts";

/** Members of a batch by the values of their axes. */
export interface Grid {
  readonly rowAxis: string;
  /** Null if only one axis has more than one value. */
  readonly columnAxis: string | null;
  /** Axes that are told in the cells. */
  readonly others: readonly string[];
  readonly columns: readonly string[];
  readonly rows: readonly { readonly value: string; readonly cells: readonly (readonly MemberView[])[] }[];
}

const HASH = /^[0-9a-f]{64}$/;
const SHOWN_CHARACTERS = 60;
const SHORT_HASH = 12;

/** A value of an axis in few words: a kernel's name, a command line, a number. */
export function shownValue(value: unknown): string {
  if (typeof value === "string") {
    const text = HASH.test(value) ? value.slice(0, SHORT_HASH) : value;
    return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS - 1)}…` : text;
  }
  if (value === undefined) return "–";
  if (typeof value !== "object" || value === null) return String(value);
  const { fixture, sha256, snapshot } = value as Readonly<Record<string, unknown>>;
  const name = fixture ?? sha256 ?? snapshot;
  return typeof name === "string" ? shownValue(name) : shownValue(JSON.stringify(value));
}

/** What differs between members besides their names: fields of the configuration stand beside kernel and initrd. */
export function axesOf({ request }: MemberView): Readonly<Record<string, unknown>> {
  const { config, ...start } = request;
  if (typeof config !== "object" || config === null) return start;
  const { labels: _, ...fields } = config as Readonly<Record<string, unknown>>;
  return { ...start, ...fields };
}

/** The members as a grid; undefined if they differ in nothing they all have. */
export function gridOf(all: readonly MemberView[]): Grid | undefined {
  const members = all.map((member) => ({ member, request: axesOf(member) }));
  const valuesOf = (axis: string): readonly string[] => [
    ...new Set(members.map(({ request }) => shownValue(request[axis]))),
  ];
  const names = [...new Set(members.flatMap(({ request }) => Object.keys(request)))];
  const axes = names
    .map((axis) => ({ axis, values: valuesOf(axis) }))
    .filter(
      ({ axis, values }) => values.length > 1 && members.every(({ request }) => request[axis] !== undefined),
    );
  // The longer the axis, the better it is as rows.
  const sorted = [...axes].sort((a, b) => b.values.length - a.values.length);
  const [row, column] = sorted;
  if (row === undefined) return undefined;
  const others = axes
    .filter(({ axis }) => axis !== row.axis && axis !== column?.axis)
    .map(({ axis }) => axis);
  const columns = column?.values ?? [""];
  const cell = (rowValue: string, columnValue: string): readonly MemberView[] =>
    members
      .filter(
        ({ request }) =>
          shownValue(request[row.axis]) === rowValue &&
          (column === undefined || shownValue(request[column.axis]) === columnValue),
      )
      .map(({ member }) => member);
  return {
    rowAxis: row.axis,
    columnAxis: column?.axis ?? null,
    others,
    columns: column === undefined ? ["verdict"] : columns,
    rows: row.values.map((value) => ({
      value,
      cells: columns.map((columnValue) => cell(value, columnValue)),
    })),
  };
}
