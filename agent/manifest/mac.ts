import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";

/** The stack's secret that its records are signed with. */
export interface ManifestKey {
  /** Made ready once: from bytes, each of thousands of MACs would cost four times as much. */
  secret: KeyObject;
  /** Tells keys apart, and gives away nothing of the secret. */
  id: string;
}

/** What a record's MAC says of it. `of another key`: nobody knows whether it was changed. */
export type Signature = "right" | "none" | "of another key" | "wrong";

/** What is signed. A MAC of one kind is not valid for the other. */
export type RecordKind = "manifest" | "first signing";

export function manifestKey(secret: Buffer): ManifestKey {
  const key = createSecretKey(secret);
  return { secret: key, id: createHmac("sha256", key).update("id of the key\n").digest("hex").slice(0, 16) };
}

/** The record with a MAC of all that is in it. */
export function signed<T extends object>(key: ManifestKey, record: T, kind: RecordKind = "manifest") {
  return { ...record, mac: macOf(key, record, kind) };
}

/** `json`: the record as JSON.parse gave it, before anything was left out or filled in. */
export function signatureOf(key: ManifestKey, json: unknown, kind: RecordKind = "manifest"): Signature {
  if (typeof json !== "object" || json === null) return "none";
  const { mac } = json as { mac?: unknown };
  if (mac === undefined || mac === null) return "none";
  if (typeof mac !== "string") return "wrong";
  const [expected, given] = [Buffer.from(macOf(key, json, kind)), Buffer.from(mac)];
  if (expected.length === given.length && timingSafeEqual(expected, given)) return "right";
  return /^[0-9a-f]{16}:/.test(mac) && !mac.startsWith(`${key.id}:`) ? "of another key" : "wrong";
}

export function isAuthentic(key: ManifestKey, json: unknown): boolean {
  return signatureOf(key, json) === "right";
}

function macOf(key: ManifestKey, record: object, kind: RecordKind): string {
  const { mac: _, ...rest } = record as { mac?: unknown };
  const text = `budgie ${kind}\n${canonicalText(rest)}`;
  return `${key.id}:${createHmac("sha256", key.secret).update(text).digest("hex")}`;
}

/** The same text for the same values, in whatever order and layout they were written down. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const record = value as Record<string, unknown>;
  let fields = "";
  for (const name of Object.keys(record).sort())
    if (record[name] !== undefined)
      fields += `${fields && ","}${JSON.stringify(name)}:${canonicalText(record[name])}`;
  return `{${fields}}`;
}
