import { Decrypter } from "age-encryption";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";

/** What every age file begins with. */
const MAGIC = Buffer.from("age-encryption.org/v1\n");

/**
 * The content of an age file, each piece proven to be what was encrypted, to the end. Throws a Stop without an identity, with
 * another identity than it was encrypted for, and for a file that was changed or cut off. What the source fails with is passed on.
 */
export async function* decrypted(
  source: AsyncIterable<Uint8Array>,
  identities: readonly string[],
  shown: string,
): AsyncGenerator<Buffer> {
  if (identities.length === 0) throw noIdentity(shown);
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  const watched = watch(source);
  try {
    const stream = await decrypter.decrypt(ReadableStream.from(watched.chunks));
    for await (const chunk of stream) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  } catch (error) {
    throw watched.failure() ?? explain(error as Error, shown);
  }
}

/** The same, but a content that is not encrypted is passed on as it is. */
export async function* decryptedIfNeeded(
  source: AsyncIterable<Uint8Array>,
  identities: readonly string[],
  shown: string,
): AsyncGenerator<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < MAGIC.length) {
    const { done, value } = await chunks.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const whole = (async function* () {
    if (head.length > 0) yield head;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  })();
  yield* isAge(head) ? decrypted(whole, identities, shown) : whole;
}

export function isAge(head: Buffer): boolean {
  return head.subarray(0, MAGIC.length).equals(MAGIC);
}

export function noIdentity(shown: string): Stop {
  return new Stop(
    EXIT.usage,
    `${shown} is encrypted, and no identity was given that opens it.`,
    "Say where yours is, on this machine: the same command with --identity key.txt",
  );
}

/** The given key is wrong, not the backup. */
export class WrongIdentity extends Stop {
  constructor(shown: string) {
    super(
      EXIT.usage,
      `${shown} is encrypted to another key than the one that was given.`,
      "Give the identity whose public key was in budgie:backupRecipients when the backup was sent.",
    );
  }
}

function explain(error: Error, shown: string): Stop {
  if (error.message.includes("no identity matched")) return new WrongIdentity(shown);
  return refuse(`${shown} is corrupt or cut off: what is encrypted in it does not add up (${error.message})`);
}

/** Tells a source that failed from a content that is wrong. */
function watch(source: AsyncIterable<Uint8Array>) {
  let failure: unknown = null;
  const chunks = async function* () {
    try {
      yield* source;
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  return { chunks: chunks(), failure: () => failure };
}
