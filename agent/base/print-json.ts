import { readableText } from "./json-record.ts";

export function printJson(value: unknown): void {
  process.stdout.write(readableText(value));
}
