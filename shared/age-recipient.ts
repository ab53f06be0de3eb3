import { bech32 } from "@scure/base";

/** Whether it is the public key of an age identity, as `age-keygen` prints it: `age1…`. */
export function isRecipient(text: string): boolean {
  if (!/^age1[a-z0-9]+$/.test(text)) return false;
  try {
    const { prefix, bytes } = bech32.decodeToBytes(text);
    return prefix === "age" && bytes.length === 32;
  } catch {
    return false;
  }
}

/** Several are separated by spaces, commas or lines. */
export function splitRecipients(text: string): string[] {
  return text.split(/[\s,]+/).filter(recipient => recipient !== "");
}
