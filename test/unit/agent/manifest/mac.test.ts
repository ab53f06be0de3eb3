import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalText,
  isAuthentic,
  manifestKey,
  signatureOf,
  signed,
} from "../../../../agent/manifest/mac.ts";
import { type Manifest, manifestText, parseManifest } from "../../../../agent/manifest/manifest.ts";
import { takenAt } from "../../../support/retention/taken-at.ts";

const key = manifestKey(Buffer.from("of this stack, and of no other one"));
const otherKey = manifestKey(Buffer.from("of another stack, and of no other one"));

/** With something in each of its fields. */
const full: Manifest = {
  ...(takenAt(new Date("2026-11-22T02:00:00Z")).manifest as Manifest),
  roles: ["budgie_user", "reader"],
  stackVersion: "0.1.0",
  backendImage: { name: "budgie-backend:0a1b2c3d4e5f", digest: `sha256:${"4".repeat(64)}` },
  extensions: [{ name: "pg_trgm", version: "1.6" }],
  globals: {
    file: "budgie_20261122_020000.globals.sql",
    bytes: 700,
    sha256: "1".repeat(64),
    rolePasswords: false,
  },
  tables: [
    { name: "public.a", copy: "COPY public.a (id) FROM stdin;", rows: 3, sha256: "2".repeat(64) },
    { name: "public.b", copy: "COPY public.b (id) FROM stdin;", rows: 0, sha256: "3".repeat(64) },
  ],
  offsite: {
    store: "http://store:9000/b",
    key: "dev/budgie_20261122_020000-000000000000.sql",
    at: "2026-11-22T02:00:02.000Z",
    etag: "abc",
    versionId: null,
    listedAt: "2026-11-22T02:00:03.000Z",
  },
  offsiteSsh: { target: "ssh://a@b:22/c", at: "2026-11-22T02:00:04.000Z" },
};
const written = manifestText(signed(key, full));

type Path = (string | number)[];

/** The path of every leaf value. */
function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  const names = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return names.flatMap(name => leaves((value as Record<string | number, unknown>)[name], [...path, name]));
}

/** A copy with another value at that path. */
function changedAt(value: unknown, [name, ...rest]: Path, change: (leaf: unknown) => unknown): unknown {
  if (name === undefined) return change(value);
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[name] = changedAt(copy[name], rest, change);
  return copy;
}

/** Every text that differs from this one in one of ASCII's seven bits. */
function flips(text: string): string[] {
  return [...text].flatMap((letter, at) =>
    [1, 2, 4, 8, 16, 32, 64].map(
      bit => text.slice(0, at) + String.fromCharCode(letter.charCodeAt(0) ^ bit) + text.slice(at + 1),
    ),
  );
}

function otherValues(leaf: unknown): unknown[] {
  if (typeof leaf === "string") return [...flips(leaf), "", null];
  if (typeof leaf === "number") return [leaf + 1, leaf - 1, -leaf - 1, String(leaf), null];
  if (typeof leaf === "boolean") return [!leaf, Number(leaf), null];
  return [0, "", false, "null", []];
}

describe("a manifest's MAC", () => {
  it("is right for what was written, in whatever order and layout its fields stand", () => {
    expect(isAuthentic(key, JSON.parse(written))).toBe(true);
    const moved = JSON.stringify(backwards(JSON.parse(written)), null, "\t");
    expect(isAuthentic(key, JSON.parse(moved))).toBe(true);
    const reading = parseManifest(written);
    expect(reading.found && isAuthentic(key, reading.json)).toBe(true);
    expect(reading.found && reading.record).toEqual(JSON.parse(written));
  });

  it("notices one bit flipped, or anything else, in the value of each field", () => {
    const json = JSON.parse(written);
    const paths = leaves(json);
    expect(paths.map(path => path[0])).toEqual(expect.arrayContaining(Object.keys(full)));
    for (const path of paths) {
      changedAt(json, path, leaf => {
        for (const other of otherValues(leaf)) {
          const changed = changedAt(json, path, () => other);
          expect(isAuthentic(key, changed), `${path.join(".")} as ${JSON.stringify(other)}`).toBe(false);
        }
        return leaf;
      });
    }
  });

  it("notices a field that was taken away, added or moved, and entries of a list that changed places", () => {
    const json: Record<string, unknown> = JSON.parse(written);
    for (const name of Object.keys(json)) {
      const { [name]: _, ...rest } = json;
      expect(isAuthentic(key, rest), `without ${name}`).toBe(false);
    }
    for (const changed of [
      { ...json, more: null },
      { ...json, tables: [...full.tables].reverse() },
      { ...json, tables: full.tables.slice(1) },
      { ...json, roles: ["budgie_userreader"] },
      { ...json, database: full.stack, stack: full.database },
    ])
      expect(signatureOf(key, changed)).toBe("wrong");
  });

  it("is another one for another stack's key, and tells that from a change", () => {
    expect(signatureOf(otherKey, JSON.parse(written))).toBe("of another key");
    expect(signatureOf(key, { ...full, mac: null })).toBe("none");
    expect(signatureOf(key, JSON.parse(JSON.stringify(full)))).toBe("none");
    for (const mac of ["", "x", 1, true, {}, [], `${key.id}:`, `${key.id}:${"0".repeat(64)}`])
      expect(signatureOf(key, { ...full, mac }), String(mac)).toBe("wrong");
    for (const nothing of [null, 1, "text", undefined]) expect(signatureOf(key, nothing)).toBe("none");
  });

  it("is none of another kind of record", () => {
    expect(isAuthentic(key, signed(key, full, "first signing"))).toBe(false);
  });

  it("gives nothing of the key away", () => {
    expect(written).not.toContain(key.secret.export().toString());
    expect(written).not.toContain(key.secret.export().toString("hex"));
    expect(written).not.toContain(key.secret.export().toString("base64"));
  });
});

describe("the text that is signed", () => {
  it("says every value, so that two texts are the same for the same values alone, in whatever order they stand", () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const text = canonicalText(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalText(JSON.parse(text))).toBe(text);
        expect(canonicalText(backwards(value))).toBe(text);
      }),
    );
  });

  it("leaves out what JSON leaves out", () => {
    expect(canonicalText({ b: [1, { d: null, c: "ü" }], a: undefined })).toBe('{"b":[1,{"c":"ü","d":null}]}');
  });
});

/** The same values, the fields of each object in the other order. */
function backwards(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(backwards);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, field]) => [name, backwards(field)])
      .reverse(),
  );
}
