import type { Writable } from "node:stream";

/** Small pieces are written together. */
const WRITE_BYTES = 1 << 18;

/** psql's standard input. What psql takes no more is swallowed: its exit says why. */
export class PsqlInput {
  readonly #input: Writable;
  #small: Buffer[] = [];
  #smallBytes = 0;
  #ended = false;

  constructor(input: Writable) {
    this.#input = input;
    input.on("error", () => undefined);
    input.on("close", () => {
      this.#ended = true;
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when psql takes nothing any more; only for one that has not ended yet. */
  closed(): Promise<void> {
    return new Promise(resolve => this.#input.once("close", () => resolve()));
  }

  /** The memory may be used again after the next `flush`. */
  async write(bytes: Buffer): Promise<void> {
    if (bytes.length < WRITE_BYTES) {
      this.#small.push(bytes);
      this.#smallBytes += bytes.length;
      if (this.#smallBytes >= WRITE_BYTES) await this.flush();
      return;
    }
    await this.flush();
    await this.#send(bytes);
  }

  async flush(): Promise<void> {
    if (this.#smallBytes === 0) return;
    const bytes = Buffer.concat(this.#small);
    this.#small = [];
    this.#smallBytes = 0;
    await this.#send(bytes);
  }

  /** Ends once psql has taken it: the reader's memory is used again only then. */
  #send(bytes: Buffer): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise(resolve => {
      this.#input.write(bytes, error => {
        if (error) this.#ended = true;
        resolve();
      });
    });
  }
}
