import type { Random } from "./random.ts";

/** A JSON schema, as the OpenAPI document has them. */
export type Schema = Readonly<Record<string, unknown>>;
export type Schemas = Readonly<Record<string, Schema>>;

const DEPTH = 6;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Strings that have been trouble somewhere. */
const TEXTS = [
  "",
  " ",
  "a",
  "null",
  "undefined",
  "__proto__",
  "constructor",
  "toString",
  "\0",
  "\u0001\u0002",
  "\ud800",
  "\ufeffx",
  "é".repeat(300),
  "x".repeat(5000),
  "../../etc/passwd",
  "%00%2e%2e",
  "'; DROP TABLE jobs; --",
  "%' OR 1=1",
  "<script>alert(1)</script>",
  "(((((((((((a",
  "(a*)*b",
  "a{1000}{1000}",
  "[",
  "9".repeat(400),
  "-0",
  "1e999",
  "NaN",
  "\u202e\u0000\uffff",
  "+0.5%",
  "2026-01-01",
];
const NUMBERS = [0, -0, -1, 1, 1.5, 255, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, -(2 ** 60), 1e300, 5e-324];

/** Anything that JSON can say. */
export function anything(random: Random, depth = 3): unknown {
  switch (random.below(depth > 0 ? 7 : 5)) {
    case 0:
      return null;
    case 1:
      return random.percent(50);
    case 2:
      return random.pick(NUMBERS);
    case 3:
    case 4:
      return random.pick(TEXTS);
    case 5:
      return Array.from({ length: random.below(4) }, () => anything(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [
          random.pick(["a", "id", "config", "kernel", "__proto__", "", "length", "x".repeat(200)]),
          anything(random, depth - 1),
        ]),
      );
  }
}

/** Gives values that a schema allows, as far as can be told from it; `hints` are for fields by their names. */
export class Values {
  readonly #random: Random;
  readonly #schemas: Schemas;
  readonly #hints: (name: string) => readonly unknown[] | undefined;

  constructor(random: Random, schemas: Schemas, hints: (name: string) => readonly unknown[] | undefined) {
    this.#random = random;
    this.#schemas = schemas;
    this.#hints = hints;
  }

  of(schema: Schema, name = "", depth = DEPTH): unknown {
    const random = this.#random;
    const hints = this.#hints(name);
    if (hints !== undefined && schema.type !== "array" && random.percent(90)) return random.pick(hints);
    if (typeof schema.$ref === "string") {
      const target = this.#schemas[schema.$ref.replace("#/components/schemas/", "")];
      return target === undefined ? anything(random) : this.of(target, name, depth);
    }
    if ("const" in schema) return schema.const;
    if (Array.isArray(schema.enum)) return random.pick(schema.enum);
    const alternatives = schema.oneOf ?? schema.anyOf;
    if (Array.isArray(alternatives)) {
      const { oneOf: _, anyOf: __, ...rest } = schema;
      const branch = random.pick(alternatives as Schema[]);
      const whole: Record<string, unknown> = { ...rest, ...branch, required: mergeRequired(rest, branch) };
      // What only another alternative asks for is not for this one.
      const others = (alternatives as Schema[]).flatMap(({ required }) =>
        Array.isArray(required) ? required : [],
      );
      if (isObject(whole.properties)) {
        const wanted = new Set(whole.required as unknown[]);
        whole.properties = Object.fromEntries(
          Object.entries(whole.properties).filter(
            ([property]) => wanted.has(property) || !others.includes(property),
          ),
        );
      }
      return this.of(whole, name, depth);
    }
    const type = Array.isArray(schema.type) ? random.pick(schema.type) : schema.type;
    switch (type) {
      case "object":
        return this.#object(schema, depth);
      case "array": {
        const least = typeof schema.minItems === "number" ? schema.minItems : 0;
        const length = depth > 0 ? least + random.below(3) : least;
        const items = isObject(schema.items) ? schema.items : {};
        return Array.from({ length }, () => this.of(items, name, depth - 1));
      }
      case "integer":
      case "number":
        return this.#number(schema, type === "integer");
      case "boolean":
        return random.percent(50);
      case "null":
        return null;
      case "string":
        return this.text(schema);
      default:
        return "properties" in schema ? this.#object(schema, depth) : anything(random, 1);
    }
  }

  text(schema: Schema): string {
    const random = this.#random;
    const pattern = typeof schema.pattern === "string" ? new RegExp(schema.pattern, "u") : undefined;
    const candidates = ["a", "hello", "a1", "1", "name.x", random.hex(32), random.hex(64), "5"];
    const least = typeof schema.minLength === "number" ? schema.minLength : 0;
    const fitting = candidates.filter((text) => text.length >= least && (pattern?.test(text) ?? true));
    return fitting.length > 0 ? random.pick(fitting) : "a".repeat(Math.max(1, least));
  }

  #object(schema: Schema, depth: number): unknown {
    const random = this.#random;
    const properties = isObject(schema.properties) ? schema.properties : {};
    const required = new Set(Array.isArray(schema.required) ? schema.required : []);
    const entries = Object.entries(properties)
      .filter(([name]) => required.has(name) || (depth > 0 && random.percent(name === "kernel" ? 70 : 15)))
      .map(([name, property]) => [name, this.of(property as Schema, name, depth - 1)] as const);
    if (isObject(schema.additionalProperties) && depth > 0) {
      const { additionalProperties } = schema;
      for (let count = random.below(3); count > 0; count--)
        entries.push([random.pick(["name", "branch", "a.b"]), this.of(additionalProperties, "", depth - 1)]);
    }
    return Object.fromEntries(entries);
  }

  #number(schema: Schema, whole: boolean): number {
    const random = this.#random;
    const { minimum, maximum, exclusiveMinimum } = schema as Record<string, number | undefined>;
    const low = minimum ?? (exclusiveMinimum === undefined ? 0 : exclusiveMinimum + 1);
    const high = maximum ?? low + 1000;
    const value = random.pick([
      low,
      Math.min(high, low + 1),
      low + (random.below(1000) / 1000) * (high - low),
      high,
    ]);
    return whole ? Math.round(value) : value;
  }
}

function mergeRequired(a: Schema, b: Schema): unknown[] {
  return [a, b].flatMap(({ required }) => (Array.isArray(required) ? required : []));
}

/** The value with something in it wrong. */
export function spoil(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) {
    if (value.length > 0 && random.percent(60)) {
      const at = random.below(value.length);
      return value.map((item, index) => (index === at ? spoil(item, random) : item));
    }
    return random.percent(50) ? [...value, anything(random)] : anything(random);
  }
  if (isObject(value)) {
    const names = Object.keys(value);
    const name = names.length > 0 ? random.pick(names) : "";
    switch (random.below(5)) {
      case 0:
        return Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
      case 1:
        return { ...value, [random.pick(TEXTS).slice(0, 100)]: anything(random) };
      case 2:
        return anything(random);
      default:
        return names.length === 0 ? anything(random) : { ...value, [name]: spoil(value[name], random) };
    }
  }
  return anything(random);
}
