import { isUtf8 } from "node:buffer";

/** Where the bytes of text that is not UTF-8 stand: halves of characters that no text in UTF-8 has by themselves. */
const FIRST = 0xdc00;
const BYTES = /([\udc80-\udcff]+)/u;

/** Text in any encoding, so that different bytes never become the same text. What is UTF-8 reads as what it says. */
export function anyText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  return bytes
    .toString("latin1")
    .replace(/[\x80-\xff]/g, byte => String.fromCharCode(FIRST + byte.charCodeAt(0)));
}

/** The bytes that the text was read from. */
export function bytesOfAnyText(text: string): Buffer {
  const parts = text
    .split(BYTES)
    .map((part, at) => (at % 2 === 0 ? Buffer.from(part) : Buffer.from(part, "latin1")));
  return Buffer.concat(parts);
}
