import type { Draw } from "./draw.ts";

/** A column's type and its values. */
export interface RandomType {
  name: string;
  /** How values are compared and computed with; `other` where they are not. */
  family: "number" | "text" | "other";
  /** Whether a btree can sort it and its values are short enough for one. */
  sorts: boolean;
  /** Another access method than btree that can index it. */
  indexedBy?: "gin" | "gist";
  /** An expression of this type, never NULL. */
  value(draw: Draw): string;
}

export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function constant(
  name: string,
  sorts: boolean,
  values: readonly string[],
  indexedBy?: "gin" | "gist",
): RandomType {
  const value = (draw: Draw) => `${literal(draw.pick(values))}::${name}`;
  return { name, family: "other", sorts, value, ...(indexedBy ? { indexedBy } : {}) };
}

function numbers(name: string, value: (draw: Draw) => string): RandomType {
  return { name, family: "number", sorts: true, value: draw => `(${value(draw)})::${name}` };
}

function texts(name: string, longest: number): RandomType {
  return {
    name,
    family: "text",
    sorts: true,
    // Cut by characters, as PostgreSQL counts them.
    value: draw => `${literal([...draw.text()].slice(0, longest).join(""))}::${name}`,
  };
}

/** Longer than a page, in most rows. */
const LONG: RandomType = {
  name: "text",
  family: "other",
  sorts: false,
  value: draw => `repeat(md5('${draw.int(1, 1e6)}'), ${draw.int(0, 400)})`,
};

const BASE: readonly RandomType[] = [
  numbers("smallint", draw => `${draw.int(-32768, 32767)}`),
  numbers("integer", draw => `${draw.int(-100000, 100000)}`),
  numbers("bigint", draw => `${draw.int(-1e12, 1e12)}`),
  numbers("numeric(12,3)", draw => `${draw.int(-1e8, 1e8) / 1000}`),
  numbers("numeric", draw => `${draw.int(-1e8, 1e8)}e${draw.int(-20, 0)}`),
  numbers("real", draw => `${draw.int(-1e6, 1e6)} / 7.0`),
  numbers("double precision", draw => `${draw.int(-1e6, 1e6)} / 7.0`),
  texts("text", 60),
  texts("varchar(20)", 20),
  texts("varchar", 60),
  texts("char(8)", 8),
  texts("name", 12),
  LONG,
  constant("boolean", true, ["t", "f"]),
  constant("date", true, ["2026-01-02", "infinity", "0044-03-15 BC", "9999-12-31"]),
  constant("timestamp", true, ["2026-01-02 03:04:05.678901", "-infinity"]),
  constant("timestamptz(3)", true, ["2026-01-02 03:04:05.678+05:45", "infinity"]),
  constant("time", true, ["24:00", "00:00:00.000001"]),
  constant("timetz", true, ["01:02:03-08"]),
  constant("interval", true, ["1 year -2 days 03:04:05.6", "-1 mon", "0"]),
  constant("uuid", true, ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-8fff-ffffffffffff"]),
  constant("bytea", true, ["\\x", "\\x00ff5c2e0a", "\\x5c2e"]),
  constant("json", false, ['{"a": 1.0, "a": [null]}', '"\\\\."', "1"]),
  constant("jsonb", true, ['{"b": 1.0, "a": [null, "\\n"]}', '"é"', "null"], "gin"),
  constant("xml", false, ["<a>\\.</a>", "text <b/>"]),
  constant("inet", true, ["10.1.2.3/8", "::1"]),
  constant("bit(5)", true, ["10101", "00000"]),
  constant("varbit", true, ["", "1"]),
  constant("money", true, ["12.30", "-1"]),
  constant("point", false, ["(1,2)", "(NaN,-1e300)"]),
  constant("box", false, ["((1,2),(3,4))"], "gist"),
  constant("tsvector", true, ["a:1A b:2", "'it''s' '\\\\'"], "gin"),
  constant("tsquery", true, ["a & !b <-> c:*"]),
  constant('"char"', true, ["a", "\\"]),
  constant("pg_lsn", true, ["FFFFFFFF/0"]),
  constant("int4range", true, ["[1,5)", "empty", "(,)"], "gist"),
  constant("tstzrange", true, ["[2026-01-01 00:00+00,)", "empty"], "gist"),
  constant("datemultirange", true, ["{}", "{[2026-01-01,2026-02-01),[2026-03-01,)}"], "gist"),
];

function arrayOf(element: RandomType): RandomType {
  const value = (draw: Draw) => {
    const elements = Array.from({ length: draw.int(0, 3) }, () =>
      draw.chance(0.2) ? "NULL" : element.value(draw),
    );
    return `ARRAY[${elements.join(", ")}]::${element.name}[]`;
  };
  return { name: `${element.name}[]`, family: "other", sorts: false, value };
}

/** Makes user-defined types, with the SQL for them. */
function madeType(draw: Draw, known: readonly RandomType[]): { statement: string; type: RandomType } {
  const name = draw.name();
  const base = draw.pick(known);
  switch (draw.int(0, 3)) {
    case 0: {
      const labels = [
        ...new Set([draw.text(), draw.text(), "x"].map(label => [...label].slice(0, 15).join(""))),
      ];
      return {
        statement: `CREATE TYPE ${name} AS ENUM (${labels.map(literal).join(", ")})`,
        type: constant(name, true, labels),
      };
    }
    case 1: {
      const fields = Array.from({ length: draw.int(1, 3) }, () => ({
        name: draw.name(),
        type: draw.pick(known),
      }));
      const value = () =>
        `ROW(${fields.map(({ type }) => (draw.chance(0.2) ? "NULL" : type.value(draw))).join(", ")})::${name}`;
      const list = fields.map(field => `${field.name} ${field.type.name}`).join(", ");
      return {
        statement: `CREATE TYPE ${name} AS (${list})`,
        type: { name, family: "other", sorts: false, value },
      };
    }
    default: {
      const check = draw.chance(0.7) ? `CONSTRAINT ${draw.name()} CHECK (${holds(draw, "VALUE", base)})` : "";
      const own = draw.chance(0.3) ? `DEFAULT ${base.value(draw)}` : "";
      const value = (at: Draw) => `(${base.value(at)})::${name}`;
      return {
        statement: `CREATE DOMAIN ${name} AS ${base.name} ${own} ${check}`,
        type: { ...base, name, value },
      };
    }
  }
}

export function randomTypes(draw: Draw): { statements: string[]; types: RandomType[] } {
  const statements: string[] = [];
  const types = [...BASE];
  for (let made = draw.int(0, 5); made > 0; made--) {
    const { statement, type } = madeType(draw, types);
    statements.push(statement);
    // User-defined types more often than one in forty.
    types.push(type, type, arrayOf(type));
  }
  return { statements, types: [...types, ...BASE.filter(() => draw.chance(0.1)).map(arrayOf)] };
}

/** A condition on `what`, of this type, that is true for every value drawn. */
export function holds(draw: Draw, what: string, { family }: RandomType): string {
  const conditions = {
    number: [
      `${what} BETWEEN -1e15 AND 1e15`,
      `${what} NOT IN (1.5e14, 2e14) AND ${what} > -1e15`,
      `${what} IS NULL OR ${what} <> 3e14 AND (${what} < 1e15 OR ${what} = 5)`,
      `abs(${what}) < 1e15`,
    ],
    text: [
      `${what} NOT IN ('never', 'ever')`,
      `${what} <> 'never' OR ${what} IN ('a', 'never')`,
      `length(${what}) BETWEEN 0 AND 99 AND ${what} NOT LIKE 'never\\_%'`,
      `CASE ${what} WHEN 'a' THEN true ELSE lower(${what}) <> ALL (ARRAY['never', 'ever']) END`,
      `coalesce(${what}, 'b') IN ('a', 'b') OR NOT (${what} BETWEEN 'never' AND 'never')`,
    ],
    other: [
      // A row of a composite type can be neither NULL nor not NULL.
      `${what} IS NULL OR NOT (${what} IS NULL)`,
      `(${what} IS DISTINCT FROM NULL) IN (true, false) AND num_nulls(${what}) BETWEEN 0 AND 1`,
    ],
  };
  return draw.pick(conditions[family]);
}
