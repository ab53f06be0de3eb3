import { Encrypter } from "age-encryption";

/** The ending of what is encrypted: `age -d -i key.txt FILE.age` opens it. */
export const ENCRYPTED = ".age";

/** What age itself adds: a nonce, a tag for each piece of 64 KB, and a header that grows with the number of recipients. */
const NONCE_BYTES = 16;
const TAG_BYTES = 16;
const PIECE_BYTES = 64 * 1024;
const SHORTEST_HEADER = 100;
const LONGEST_HEADER = 64 * 1024;

/** The source's bytes as an age file for anyone who has one of the recipients' private keys. What the source fails with is passed on. */
export async function* encrypted(
  recipients: readonly string[],
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const stream = await encrypterFor(recipients).encrypt(ReadableStream.from(source));
  for await (const chunk of stream) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
}

/** A small text, encrypted. */
export async function encryptedText(recipients: readonly string[], text: string | Buffer): Promise<Buffer> {
  return Buffer.from(await encrypterFor(recipients).encrypt(text));
}

/** Exactly how many bytes `encrypted` makes of this many: age files for the same recipients differ only in their keys. */
export async function encryptedBytes(recipients: readonly string[], bytes: number): Promise<number> {
  const header = (await encryptedText(recipients, "")).length - NONCE_BYTES - TAG_BYTES;
  return header + payloadBytes(bytes);
}

/** Whether a file of `size` bytes can be what age made of `bytes`, for whichever recipients. */
export function mayBeEncrypted(size: number, bytes: number): boolean {
  const header = size - payloadBytes(bytes);
  return header >= SHORTEST_HEADER && header <= LONGEST_HEADER;
}

function payloadBytes(bytes: number): number {
  return NONCE_BYTES + bytes + TAG_BYTES * Math.max(1, Math.ceil(bytes / PIECE_BYTES));
}

function encrypterFor(recipients: readonly string[]): Encrypter {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter;
}
