import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { encrypted, encryptedBytes } from "./encrypt.ts";
import { inTurn, type LocalFile, openProven, type ProvenReader } from "./proven-reader.ts";

const PIECE_BYTES = 1 << 18;

/**
 * The same as `openProven`, with the bytes encrypted to the recipients. Whoever got the last piece has the encryption of exactly
 * the recorded bytes: the last of them is not encrypted before all are proven.
 */
export async function openEncrypting(file: LocalFile, recipients: readonly string[]): Promise<ProvenReader> {
  const plain = await openProven(file);
  const bytes = await encryptedBytes(recipients, file.bytes);
  const chunks = encrypted(recipients, piecesOf(plain));
  let left: Buffer = Buffer.alloc(0);
  let [number, made] = [0, 0];
  const next = async (buffer: Buffer) => {
    let filled = 0;
    while (filled < buffer.length) {
      if (left.length === 0) {
        const { done, value } = await chunks.next();
        if (done) break;
        left = value;
      }
      const taken = left.copy(buffer, filled);
      left = left.subarray(taken);
      filled += taken;
    }
    made += filled;
    if (filled < buffer.length && made !== bytes)
      throw new Stop(
        EXIT.failed,
        `${file.shown} became ${made} encrypted bytes instead of ${bytes}.`,
        "The file changed meanwhile. Send it again: npx budgie push",
      );
    return filled === 0 ? null : { number: ++number, bytes: buffer.subarray(0, filled) };
  };
  return {
    file: { ...file, bytes },
    next: inTurn(next),
    close: async () => {
      await chunks.return(undefined);
      await plain.close();
    },
  };
}

/** Each in a buffer of its own: what is being encrypted must not change. */
async function* piecesOf(plain: ProvenReader): AsyncGenerator<Buffer> {
  for (;;) {
    const piece = await plain.next(Buffer.allocUnsafeSlow(PIECE_BYTES));
    if (piece === null) return;
    yield piece.bytes;
  }
}
