import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { replaceFile } from "./durable-file.ts";

/** What a record's file was found to hold. What each failure means is for the record's own file to say. */
export type RecordReading<T> =
  | {
      found: true;
      record: T;
      /** All that was written there, before anything was left out or filled in: what a MAC is of. */
      json: unknown;
    }
  | {
      found: false;
      /** `absent`: there is no file. `unreadable`: there is one that cannot be read. `invalid`: it holds something else. */
      why: "absent" | "unreadable" | "invalid";
      detail: string;
    };

export async function readRecord<T>(schema: z.ZodType<T>, path: string): Promise<RecordReading<T>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { found: false, why: code === "ENOENT" ? "absent" : "unreadable", detail: message };
  }
  return parseRecord(schema, text);
}

export function parseRecord<T>(schema: z.ZodType<T>, text: string): RecordReading<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { found: false, why: "invalid", detail: "it is not JSON" };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { found: true, record: parsed.data, json };
  const first = parsed.error.issues[0];
  return { found: false, why: "invalid", detail: `${first?.path.join(".")}: ${first?.message}` };
}

/** Writes it in one step: whoever reads it sees the old record or the new one. */
export function writeRecord(path: string, record: object): Promise<void> {
  return replaceFile(path, recordText(record));
}

/** On one line. */
export function recordText(record: object): string {
  return `${JSON.stringify(record)}\n`;
}

/** Over several lines, for records that people read too. */
export function readableText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
