import { createHash } from "node:crypto";
import { sha256Of } from "../base/hashing.ts";

const LANES = 1024;
const NEWLINE = 0x0a;

/**
 * A digest of a table's rows that does not depend on their order: LtHash, with SHAKE128 for each row and 1,024 sums of 16 bits
 * (M. Bellare and D. Micciancio, "A New Paradigm for Collision-Free Hashing", 1997; these parameters: K. Lewi, W. Kim, I. Maykov and
 * S. Weis, "Securing Update Propagation with Homomorphic Hashing", 2019). Two tables with the same digest hold the same rows, each
 * as often, unless someone solves a lattice problem.
 *
 * Takes COPY's text, in parts of any size: a row is a line.
 */
export class RowSetDigest {
  readonly #sums = new Uint16Array(LANES);
  #begun: Buffer[] = [];

  update(part: Buffer): void {
    let start = 0;
    for (let end = part.indexOf(NEWLINE); end >= 0; end = part.indexOf(NEWLINE, start)) {
      this.#addRow(part.subarray(start, end + 1));
      start = end + 1;
    }
    // The caller may use its memory again.
    if (start < part.length) this.#begun.push(Buffer.from(part.subarray(start)));
  }

  digest(): string {
    return sha256Of(Buffer.from(this.#sums.buffer));
  }

  #addRow(end: Buffer): void {
    const hash = createHash("shake128", { outputLength: 2 * LANES });
    for (const part of this.#begun) hash.update(part);
    if (this.#begun.length > 0) this.#begun = [];
    const bytes = hash.update(end).digest();
    for (let lane = 0; lane < LANES; lane++) {
      this.#sums[lane] = ((this.#sums[lane] as number) + bytes.readUInt16LE(2 * lane)) & 0xffff;
    }
  }
}
