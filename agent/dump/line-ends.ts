import type { TakePart } from "./parts.ts";

const RETURN = 0x0d;
const NEWLINE = 0x0a;
/** How a dump in SQL begins after it went through an editor of Windows, or a terminal. */
const WINDOWS_HEAD = Buffer.from("--\r\n");
/** Some of these editors put it before a text. */
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Passes a dump's SQL on with the line ends that pg_dump gave it, where its first line shows that it has lost them. A dump writes a
 * carriage return in data as \r, so none of those is lost; only those in the text of functions and comments are.
 */
export class UnixLineEnds {
  readonly #take: TakePart;
  #converts: boolean | null = null;
  #heldReturn = false;
  #head: Buffer = Buffer.alloc(0);

  constructor(take: TakePart) {
    this.#take = take;
  }

  /** Whether it had to be done. */
  get converted(): boolean {
    return this.#converts === true;
  }

  async part(part: Buffer): Promise<void> {
    if (this.#converts !== null) return this.#pass(part);
    const head = this.#head.length === 0 ? part : Buffer.concat([this.#head, part]);
    if (head.length < BYTE_ORDER_MARK.length + WINDOWS_HEAD.length) {
      this.#head = Buffer.from(head);
      return;
    }
    await this.#begin(head);
  }

  async end(): Promise<void> {
    if (this.#converts === null && this.#head.length > 0) await this.#begin(this.#head);
    if (this.#heldReturn) await this.#take(Buffer.from("\r"));
  }

  async #begin(head: Buffer): Promise<void> {
    const marked = head.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
    const text = marked ? head.subarray(BYTE_ORDER_MARK.length) : head;
    this.#converts = text.subarray(0, WINDOWS_HEAD.length).equals(WINDOWS_HEAD);
    await this.#pass(text);
  }

  async #pass(part: Buffer): Promise<void> {
    await this.#take(this.#converts ? this.#convert(part) : part);
  }

  #convert(part: Buffer): Buffer {
    const converted = Buffer.allocUnsafe(part.length + 1);
    let length = 0;
    for (const byte of part) {
      if (this.#heldReturn && byte !== NEWLINE) converted[length++] = RETURN;
      this.#heldReturn = byte === RETURN;
      if (!this.#heldReturn) converted[length++] = byte;
    }
    return converted.subarray(0, length);
  }
}
