import { type Draw, drawn } from "./draw.ts";
import { holds, literal, type RandomType, randomTypes } from "./types.ts";

interface Column {
  name: string;
  type: RandomType;
  /** NULL is refused, and so is a value where the database itself gives it. */
  required: boolean;
  given: "value" | "never" | "identity";
  /** Something depends on it: it is not dropped, and its type stays. */
  used: boolean;
}

interface Table {
  name: string;
  columns: Column[];
  /** The column that tells rows apart, if there is one. */
  id: string | null;
  children: Table[];
  /** The partition key, and values that have a partition; null for a table without partitions. */
  partition: { key: string; values: readonly string[] } | null;
  /** Not UNLOGGED: keys of logged tables may point at it, and it can be published. */
  lasting: boolean;
  rows: number;
}

/** Settings that change what is written or read. A plain session can load the script under each of them. */
const DATABASE_SETTINGS = [
  "DateStyle = 'SQL, DMY'",
  "IntervalStyle = 'sql_standard'",
  "TimeZone = 'Asia/Kathmandu'",
  "bytea_output = 'escape'",
  "extra_float_digits = -3",
  "client_encoding = 'LATIN1'",
  "search_path = pg_catalog",
  "quote_all_identifiers = on",
  "default_transaction_read_only = on",
  "standard_conforming_strings = off",
  "array_nulls = off",
  "session_replication_role = 'replica'",
  "idle_session_timeout = '30ms'",
];

/** The script of a random database, the same for the same seed. It loads into an empty database, and PostgreSQL can reload it. */
export function randomDatabase(seed: number, database: string): string {
  return drawn(seed, draw => {
    const script: string[] = [];
    const { statements, types } = randomTypes(draw);
    script.push(...statements);
    const tables: Table[] = [];
    for (let n = draw.int(1, 6); n > 0; n--) tables.push(makeTable(draw, script, types, tables));
    for (const table of tables) fill(draw, script, table);
    for (const table of tables) if (draw.chance(0.3)) addLate(draw, script, types, table);
    for (const table of tables) addBeside(draw, script, table);
    const views = addViews(draw, script, tables);
    addFunctions(draw, script, tables);
    for (const table of tables) if (draw.chance(0.4)) fill(draw, script, table);
    for (const view of views) if (draw.chance(0.5)) script.push(`REFRESH MATERIALIZED VIEW ${view}`);
    addSequences(draw, script);
    for (const setting of draw.some(DATABASE_SETTINGS, 0.15))
      script.push(`ALTER DATABASE ${database} SET ${setting}`);
    return `${script.join(";\n")};\n`;
  });
}

function makeTable(draw: Draw, script: string[], types: readonly RandomType[], earlier: Table[]): Table {
  const parents = earlier.filter(({ partition }) => partition === null);
  if (parents.length > 0 && draw.chance(0.3)) return makeChild(draw, script, types, parents);
  return draw.chance(0.3) ? makePartitioned(draw, script, types) : makePlain(draw, script, types, parents);
}

function makeColumns(draw: Draw, types: readonly RandomType[], most: number): Column[] {
  return Array.from({ length: draw.int(0, most) }, () => ({
    name: draw.name(),
    type: draw.pick(types),
    required: draw.chance(0.2),
    given: "value" as const,
    used: false,
  }));
}

function define(draw: Draw, { name, type, required }: Column): string {
  const words = [required ? "NOT NULL" : "", draw.chance(0.3) ? `DEFAULT ${type.value(draw)}` : ""];
  return [name, type.name, ...words].filter(Boolean).join(" ");
}

function check(draw: Draw, { name, type }: Column): string {
  return `CONSTRAINT ${draw.name()} CHECK (${holds(draw, name, type)})`;
}

function defineChecked(draw: Draw, columns: readonly Column[]): string[] {
  return columns.map(column => `${define(draw, column)} ${draw.chance(0.3) ? check(draw, column) : ""}`);
}

/** A column computed from another one; null where no column allows it. */
function generate(draw: Draw, columns: readonly Column[]): { column: Column; definition: string } | null {
  const bases = columns.filter(({ type, given }) => given === "value" && type.family !== "other");
  if (bases.length === 0) return null;
  const base = draw.pick(bases);
  const expression =
    base.type.family === "number"
      ? draw.pick([
          `(${base.name} * 2)::numeric`,
          `CASE WHEN ${base.name} IN (1, 2.5) THEN 1 ELSE ${base.name} END::numeric`,
        ])
      : draw.pick([
          `(${base.name}::text || '!'::varchar)`,
          `CASE WHEN ${base.name} IN ('a', 'b') THEN 'x' ELSE coalesce(${base.name}::text, '\\') END`,
        ]);
  const type = {
    name: base.type.family === "number" ? "numeric" : "text",
    family: base.type.family,
    sorts: true,
    value: base.type.value,
  };
  base.used = true;
  const column: Column = { name: draw.name(), type, required: false, given: "never", used: false };
  return { column, definition: `${column.name} ${type.name} GENERATED ALWAYS AS (${expression}) STORED` };
}

const INTEGER: RandomType = {
  name: "integer",
  family: "number",
  sorts: true,
  value: draw => `${draw.int(1, 1e5)}`,
};

function makePlain(
  draw: Draw,
  script: string[],
  types: readonly RandomType[],
  earlier: readonly Table[],
): Table {
  const columns = makeColumns(draw, types, 8);
  const definitions = defineChecked(draw, columns);
  const generated = draw.chance(0.4) ? generate(draw, columns) : null;
  if (generated) {
    columns.push(generated.column);
    definitions.push(generated.definition);
  }
  let id: string | null = null;
  if (draw.chance(0.7)) {
    id = draw.name();
    const identity = draw.chance(0.5);
    const options = draw.pick(["", "(START -50 MINVALUE -100 INCREMENT 7)", "(START 1000 CACHE 5)"]);
    const words = identity ? `GENERATED ${draw.pick(["ALWAYS", "BY DEFAULT"])} AS IDENTITY ${options}` : "";
    const at = draw.int(0, columns.length);
    columns.splice(at, 0, {
      name: id,
      type: INTEGER,
      required: true,
      given: identity ? "identity" : "value",
      used: true,
    });
    definitions.splice(at, 0, `${id} integer ${words} PRIMARY KEY`);
  }
  const targets = earlier.filter(table => table.id !== null && table.lasting);
  if (targets.length > 0 && draw.chance(0.4)) {
    const target = draw.pick(targets);
    const name = draw.name();
    const type = { ...INTEGER, value: () => `(SELECT min(${target.id}) FROM ONLY ${target.name})` };
    columns.push({ name, type, required: false, given: "value", used: true });
    // Not SET NULL: a rule on this table could prevent it, and PostgreSQL could not reload what is left.
    definitions.push(`${name} integer REFERENCES ${target.name} ON DELETE CASCADE DEFERRABLE`);
  }
  const name = draw.name();
  const kind = draw.pick(["TABLE", "TABLE", "TABLE", "UNLOGGED TABLE"]);
  // A logged table's key cannot point at an unlogged table.
  const words =
    definitions.some(definition => definition.includes("REFERENCES")) || earlier.length === 0
      ? "TABLE"
      : kind;
  script.push(
    `CREATE ${words} ${name} (${definitions.join(", ")})${draw.pick(["", " WITH (fillfactor = 30)"])}`,
  );
  const table: Table = {
    name,
    columns,
    id,
    children: [],
    partition: null,
    lasting: words === "TABLE",
    rows: 0,
  };
  fill(draw, script, table);
  alter(draw, script, types, table);
  return table;
}

/** Drops, adds and retypes columns of a table with rows. */
function alter(draw: Draw, script: string[], types: readonly RandomType[], table: Table): void {
  for (const column of draw.some(table.columns, 0.2)) {
    if (column.used || column.given !== "value") continue;
    script.push(`ALTER TABLE ${table.name} DROP ${column.name}`);
    table.columns = table.columns.filter(other => other !== column);
  }
  for (const column of table.columns) {
    if (column.used || column.given !== "value" || column.type.family === "other" || !draw.chance(0.1))
      continue;
    const name = column.type.family === "number" ? "numeric" : "text";
    script.push(
      `ALTER TABLE ${table.name} ALTER ${column.name} DROP DEFAULT, ALTER ${column.name} TYPE ${name}`,
    );
    column.type = { ...column.type, name };
  }
  if (draw.chance(0.3)) addLate(draw, script, types, table);
}

/** Its children get it too, at another position. */
function addLate(draw: Draw, script: string[], types: readonly RandomType[], table: Table): void {
  const column: Column = {
    name: draw.name(),
    type: draw.pick(types),
    required: false,
    given: "value",
    used: false,
  };
  const own = draw.chance(0.5) ? `DEFAULT ${column.type.value(draw)}` : "";
  script.push(`ALTER TABLE ${table.name} ADD ${column.name} ${column.type.name} ${own}`);
  const give = (to: Table) => {
    if (!to.columns.some(({ name }) => name === column.name)) to.columns.push({ ...column });
    for (const child of to.children) give(child);
  };
  give(table);
}

function makeChild(
  draw: Draw,
  script: string[],
  types: readonly RandomType[],
  parents: readonly Table[],
): Table {
  const chosen = [draw.pick(parents)];
  const second = draw.pick(parents);
  const lineage = (table: Table): Table[] => [table, ...table.children.flatMap(lineage)];
  // Parents must agree on how a shared column is computed.
  const related =
    lineage(second).some(({ name }) => name === chosen[0]?.name) ||
    (chosen[0] && lineage(chosen[0]).includes(second));
  const apart = !chosen[0]?.columns.some(({ name }) => second.columns.some(other => other.name === name));
  if (!related && apart) chosen.push(second);
  const own = makeColumns(draw, types, 3);
  const definitions = defineChecked(draw, own);
  const inherited = new Map<string, Column>();
  for (const column of chosen.flatMap(({ columns }) => columns)) {
    // Neither keys nor identity are inherited.
    inherited.set(column.name, {
      ...column,
      given: column.given === "never" ? "never" : "value",
      used: true,
    });
  }
  const name = draw.name();
  script.push(
    `CREATE TABLE ${name} (${definitions.join(", ")}) INHERITS (${chosen.map(parent => parent.name).join(", ")})`,
  );
  const columns = [...inherited.values(), ...own];
  const table: Table = { name, columns, id: null, children: [], partition: null, lasting: true, rows: 0 };
  for (const parent of chosen) parent.children.push(table);
  return table;
}

function makePartitioned(draw: Draw, script: string[], types: readonly RandomType[]): Table {
  const columns = makeColumns(draw, types, 5);
  const definitions = columns.map(column => define(draw, column));
  const key = draw.name();
  const shape = draw.pick([
    {
      type: "integer",
      by: "RANGE",
      bounds: ["FROM (MINVALUE) TO (10)", "FROM (10) TO (5 * 4)", "FROM (20) TO (MAXVALUE)"],
      values: ["1", "10", "25"],
    },
    {
      type: "varchar(9)",
      by: "LIST",
      bounds: ["IN ('a', 'b'::varchar)", "IN (NULL, upper('c'))"],
      values: ["'a'", "'b'", "NULL", "'C'"],
    },
    {
      type: "bigint",
      by: "HASH",
      bounds: ["WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"],
      values: ["1", "2", "3", "4"],
    },
  ] as const);
  const keyColumn: Column = {
    name: key,
    type: { ...INTEGER, name: shape.type, family: shape.by === "LIST" ? "text" : "number" },
    required: false,
    given: "value",
    used: true,
  };
  const name = draw.name();
  script.push(
    `CREATE TABLE ${name} (${[`${key} ${shape.type}`, ...definitions].join(", ")}) PARTITION BY ${shape.by} (${key})`,
  );
  for (const bounds of shape.bounds) {
    const partition = draw.name();
    if (draw.chance(0.5)) {
      script.push(`CREATE TABLE ${partition} PARTITION OF ${name} FOR VALUES ${bounds}`);
      continue;
    }
    // The columns are in another order, and one is dropped again.
    const gone = draw.name();
    const list = [keyColumn, ...columns].map(
      column => `${column.name} ${column.type.name}${column.required ? " NOT NULL" : ""}`,
    );
    const turned = [...draw.some(list, 0.5), ...list].filter((column, at, all) => all.indexOf(column) === at);
    script.push(`CREATE TABLE ${partition} (${[turned[0], `${gone} text`, ...turned.slice(1)].join(", ")})`);
    script.push(`ALTER TABLE ${partition} DROP ${gone}`);
    script.push(`ALTER TABLE ${name} ATTACH PARTITION ${partition} FOR VALUES ${bounds}`);
  }
  // Checks come last: a table to be attached must already have each one, in PostgreSQL's own wording.
  for (const column of draw.some(columns, 0.3)) script.push(`ALTER TABLE ${name} ADD ${check(draw, column)}`);
  return {
    name,
    columns: [keyColumn, ...columns],
    id: null,
    children: [],
    partition: { key, values: shape.values },
    lasting: true,
    rows: 0,
  };
}

/** Inserts, updates and deletes rows. */
function fill(draw: Draw, script: string[], table: Table): void {
  const given = table.columns.filter(column => column.given === "value");
  for (let n = draw.int(0, 3); n > 0; n--) {
    const times = draw.pick([1, 1, 3, 40]);
    const values = given.map(column => {
      if (column.name === table.id) return `${table.rows} + g`;
      if (column.name === table.partition?.key) return draw.pick(table.partition.values);
      return !column.required && draw.chance(0.25) ? "NULL" : column.type.value(draw);
    });
    const list = given.length === 0 ? "" : `(${given.map(({ name }) => name).join(", ")})`;
    script.push(
      `INSERT INTO ${table.name} ${list} SELECT ${values.join(", ")} FROM generate_series(1, ${times}) AS g`,
    );
    table.rows += times;
  }
  const changed = given.filter(column => column.name !== table.id && column.name !== table.partition?.key);
  const few = `WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM ${table.name} ORDER BY tableoid, ctid LIMIT ${draw.int(1, 20)})`;
  if (changed.length > 0 && draw.chance(0.5)) {
    const column = draw.pick(changed);
    script.push(`UPDATE ${table.name} SET ${column.name} = ${column.type.value(draw)} ${few}`);
  }
  if (draw.chance(0.3)) script.push(`DELETE FROM ${table.name} ${few}`);
}

/** Indexes, statistics, comments, triggers, rules, policies and grants. */
function addBeside(draw: Draw, script: string[], { name, columns, partition, lasting }: Table): void {
  for (const { name: column, type, given } of columns) {
    if (type.sorts && draw.chance(0.2)) {
      const where = draw.chance(0.5) ? `WHERE ${holds(draw, column, type)}` : "";
      const how = draw.pick(["", "DESC NULLS LAST", "ASC NULLS FIRST"]);
      script.push(`CREATE INDEX ${draw.name()} ON ${name} (${column} ${how}) ${where}`);
    }
    if (type.indexedBy && draw.chance(0.3))
      script.push(`CREATE INDEX ON ${name} USING ${type.indexedBy} (${column})`);
    if (type.family === "text" && draw.chance(0.3)) {
      script.push(
        `CREATE INDEX ${draw.name()} ON ${name} (lower(${column}), (${column}::text || '\\.')) WHERE ${column} IN ('a', 'b')`,
      );
      if (!partition)
        script.push(
          `CREATE STATISTICS ${draw.name()} ON (lower(${column})), (${holds(draw, column, type)}) FROM ${name}`,
        );
    }
    if (draw.chance(0.15)) script.push(`COMMENT ON COLUMN ${name}.${column} IS ${literal(draw.text())}`);
    if (draw.chance(0.1)) script.push(`GRANT SELECT (${column}) ON ${name} TO pg_monitor`);
    if (given === "value" && draw.chance(0.1) && !partition) {
      script.push(
        `CREATE TRIGGER ${draw.name()} BEFORE UPDATE OF ${column} ON ${name} FOR EACH ROW WHEN (new.${column} IS NOT NULL AND ${holds(draw, `new.${column}`, type)}) EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
      );
    }
    if (draw.chance(0.1))
      script.push(`CREATE POLICY ${draw.name()} ON ${name} USING (${holds(draw, column, type)})`);
    if (draw.chance(0.05) && !partition) {
      const some = `WHERE ${holds(draw, `old.${column}`, type)} DO INSTEAD NOTHING`;
      const action = draw.pick([some, `DO ALSO NOTIFY budgie, ${literal(draw.text())}`]);
      script.push(`CREATE RULE ${draw.name()} AS ON UPDATE TO ${name} ${action}`);
    }
  }
  if (draw.chance(0.4)) script.push(`COMMENT ON TABLE ${name} IS ${literal(draw.text())}`);
  if (draw.chance(0.2)) script.push(`ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`);
  if (lasting && draw.chance(0.1))
    script.push(`CREATE PUBLICATION ${draw.name()} FOR TABLE ${name} WITH (publish = 'insert')`);
}

/** Returns the names of the materialized ones. */
function addViews(draw: Draw, script: string[], tables: readonly Table[]): string[] {
  const materialized: string[] = [];
  const sources: Pick<Table, "name" | "columns">[] = [...tables];
  for (let n = draw.int(0, 5); n > 0; n--) {
    const source = draw.pick(sources);
    const name = draw.name();
    const columns = draw.some(source.columns, 0.7).map(column => ({ ...column, alias: draw.name() }));
    const list = columns.map(column => `s.${column.name} AS ${column.alias}`).join(", ");
    const sorting = columns.filter(({ type }) => type.sorts);
    const condition = sorting
      .map(({ name: column, type }) => holds(draw, `s.${column}`, type))
      .slice(0, 2)
      .join(" OR ");
    const where = condition ? `WHERE ${condition}` : "";
    const select = `SELECT ${list} FROM ${source.name} s ${where}`;
    const counted = sorting[0]
      ? `SELECT s.${sorting[0].name} AS ${draw.name()}, count(*) AS n FROM ${source.name} s GROUP BY 1 HAVING count(*) BETWEEN 1 AND 99`
      : select;
    const body = draw.pick([
      select,
      `${select} UNION ALL ${select}`,
      counted,
      `SELECT * FROM (${select}) AS x LEFT JOIN (SELECT 1 AS one) AS y ON true`,
    ]);
    if (draw.chance(0.3)) {
      script.push(`CREATE MATERIALIZED VIEW ${name} AS ${body} ${draw.pick(["WITH DATA", "WITH NO DATA"])}`);
      materialized.push(name);
    } else {
      script.push(`CREATE VIEW ${name} AS ${body}`);
      if (body === select) {
        const named = columns.map(({ alias, ...column }) => ({ ...column, name: alias }));
        sources.push({ name, columns: named });
      }
    }
    if (draw.chance(0.3))
      script.push(
        `COMMENT ON ${materialized.includes(name) ? "MATERIALIZED VIEW" : "VIEW"} ${name} IS ${literal(draw.text())}`,
      );
  }
  return materialized;
}

function addFunctions(draw: Draw, script: string[], tables: readonly Table[]): void {
  for (let n = draw.int(0, 3); n > 0; n--) {
    const name = draw.name();
    const table = draw.pick(tables);
    script.push(
      draw.pick([
        `CREATE FUNCTION ${name}(a varchar DEFAULT ${literal(draw.text())}) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM ${table.name} WHERE a IN ('x', ${literal(draw.text())}); END`,
        `CREATE FUNCTION ${name}() RETURNS text LANGUAGE sql AS ${literal(`SELECT ${literal(draw.text())}::text -- ${draw.text().replace(/[\r\n]/g, " ")}`)}`,
        `CREATE FUNCTION ${name}(int) RETURNS text LANGUAGE plpgsql AS ${literal(`BEGIN /* it's $$\n\\c x\n*/ RETURN ${literal(draw.text())}; END`)}`,
      ]),
    );
    if (draw.chance(0.4)) script.push(`COMMENT ON FUNCTION ${name} IS ${literal(draw.text())}`);
  }
}

function addSequences(draw: Draw, script: string[]): void {
  for (let n = draw.int(0, 2); n > 0; n--) {
    const name = draw.name();
    script.push(
      `CREATE SEQUENCE ${name} ${draw.pick(["", "INCREMENT -2 START -1", "MAXVALUE 3 CYCLE", "AS smallint START 7 CACHE 3"])}`,
    );
    const calls = draw.int(0, 5);
    if (calls > 0) script.push(`SELECT nextval(${literal(name)}) FROM generate_series(1, ${calls})`);
  }
}
