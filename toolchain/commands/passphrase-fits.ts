import { createDecipheriv, pbkdf2Sync } from "node:crypto";

/** As Pulumi makes a key of a passphrase. */
const ROUNDS = 1_000_000;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const VERIFIER = "pulumi";

/**
 * Whether a passphrase opens the secrets of a state: its salt comes with a word that Pulumi has encrypted. Null for a salt of another kind,
 * of which only Pulumi knows.
 */
export function passphraseFits(passphrase: string, salt: string): boolean | null {
  const [outer, saltText, inner, nonce, sealed] = salt.split(":");
  if (outer !== "v1" || inner !== "v1" || !saltText || !nonce || !sealed) return null;
  const key = pbkdf2Sync(passphrase, Buffer.from(saltText, "base64"), ROUNDS, KEY_BYTES, "sha256");
  const bytes = Buffer.from(sealed, "base64");
  const open = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"));
  open.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([open.update(bytes.subarray(0, -TAG_BYTES)), open.final()]).toString() === VERIFIER;
  } catch {
    return false;
  }
}
