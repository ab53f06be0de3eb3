import { randomBytes } from "node:crypto";

/** What psql prints where a piece of its work is done. Nothing in a database or a file can know it. */
export function newMark(): string {
  return `budgie-${randomBytes(16).toString("hex")}`;
}

/** The statement that prints it, on a line of its own. */
export function printMark(mark: string, number: number): string {
  return `SELECT '${mark} ${number}';`;
}

/** Watches a program's output for marks, and keeps nothing else of it. */
export class MarkWatch {
  readonly #mark: string;
  readonly #waiting = new Map<number, () => void>();
  #seen = -1;
  #tail = "";

  constructor(mark: string, output: AsyncIterable<Buffer>) {
    this.#mark = mark;
    void this.#watch(output);
  }

  /** Resolves when the mark has been printed; never when the program ends before. */
  reached(number: number): Promise<void> {
    if (number <= this.#seen) return Promise.resolve();
    return new Promise(resolve => this.#waiting.set(number, resolve));
  }

  async #watch(output: AsyncIterable<Buffer>): Promise<void> {
    try {
      for await (const part of output) this.#look(part.toString("latin1"));
    } catch {
      // The program's exit tells why its output broke off.
    }
  }

  #look(part: string): void {
    const text = this.#tail + part;
    let behind = 0;
    for (let at = text.indexOf(this.#mark); at >= 0; at = text.indexOf(this.#mark, at + 1)) {
      const end = text.indexOf("\n", at);
      if (end < 0) {
        this.#tail = text.slice(at);
        return;
      }
      this.#reach(Number(text.slice(at + this.#mark.length, end)));
      behind = end + 1;
    }
    this.#tail = text.slice(Math.max(behind, text.length - this.#mark.length));
  }

  #reach(number: number): void {
    this.#seen = number;
    for (const [waited, resolve] of this.#waiting) {
      if (waited > number) continue;
      this.#waiting.delete(waited);
      resolve();
    }
  }
}
