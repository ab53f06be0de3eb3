import { expect, it } from "vitest";
import { DumpReader } from "../../../../agent/dump/reader.ts";
import { SchemaCollector } from "../../../../agent/dump/schema.ts";

function sequencesOf(schema: string, name: string): string[] {
  const collector = new SchemaCollector();
  const reader = new DumpReader(piece => collector.take(piece));
  reader.read(
    Buffer.from(
      `--\n-- Name: numbers; Type: SEQUENCE SET; Schema: ${schema}; Owner: x\n--\n\nSELECT pg_catalog.setval('${name}', 2, true);\n\n`,
    ),
  );
  reader.end();
  return collector.finish().sequences.map(sequence => sequence.name);
}

it.each([
  ["public", "public.numbers", "public.numbers"],
  ["public", "numbers", "public.numbers"],
  ["public", '"num.bers"', 'public."num.bers"'],
  ["Our Ledger", "numbers", '"Our Ledger".numbers'],
  ["Our Ledger", '"Our Ledger"."num""bers"', '"Our Ledger"."num""bers"'],
  ["it's", "\"it''s\".numbers", '"it\'s".numbers'],
])("in the schema %s, a dump's sequence %s is %s", (schema, written, whole) => {
  expect(sequencesOf(schema, written)).toEqual([whole]);
});
