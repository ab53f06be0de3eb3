/**
 * What a piece of SQL is, as psql takes it apart:
 * `statement`: up to and including its semicolon, with whatever stands before it on its lines.
 * `comment`: a line comment between statements, with its line end.
 * `command`: a psql command, from its backslash to the end of its line. psql obeys one in the midst of a statement as well.
 * `space`: blanks and line ends between statements.
 */
export type UnitKind = "statement" | "comment" | "command" | "space";

/** How far a scan got: a whole unit up to `end`, or (`kind` null) all of the data, and the unit goes on. */
export interface Scanned {
  kind: UnitKind | null;
  /** The first byte behind the unit, or behind what was understood so far (`kind` null). The rest must come again. */
  end: number;
  /** Where a command's backslash stands. A statement that it interrupts may stand before it. */
  command?: number;
  /** The statement is whole, and psql would wait for the end of a block in it: it takes any `begin` in a function for one. */
  psqlWaits?: boolean;
}

type Quote =
  /** '…' and "…": doubled to stand for itself. */
  | { kind: "plain"; mark: number }
  /** E'…', where a backslash takes the next character's meaning away. */
  | { kind: "escape" }
  /** $tag$…$tag$ */
  | { kind: "dollar"; tag: Buffer }
  /** Block comments nest. */
  | { kind: "block"; depth: number }
  | { kind: "line" };

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;
const QUOTE = 0x27;
const DOUBLE = 0x22;
const DOLLAR = 0x24;
const DASH = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;
const SEMICOLON = 0x3b;
const OPEN = 0x28;
const CLOSE = 0x29;
/** The longest thing that must be seen whole to be understood: an identifier, or a dollar quote's tag. */
const LONGEST_WORD = 1024;

/**
 * Takes SQL apart where psql would, in pieces of any size, by the rules of psql's own scanner (PostgreSQL's
 * src/fe_utils/psqlscan.l, and the manual's "Lexical Structure"). Names, comments and function bodies are text here as they are
 * there.
 */
export class SqlScanner {
  /** Off only where a file has switched it off: then a backslash in '…' takes away the next character's meaning. */
  standardStrings = true;
  #quote: Quote | null = null;
  #parentheses = 0;
  /** BEGIN ATOMIC … END of a function in SQL: semicolons inside do not end the statement. */
  #blocks = 0;
  /** How many blocks psql counts. A column or an argument may be called `begin`, and needs no quotes. */
  #psqlBlocks = 0;
  /** Whether nothing has come since the word BEGIN. */
  #behindBegin = false;
  #words: string[] = [];
  /** Whether the present unit has begun as a statement. */
  #inStatement = false;
  /**
   * What stands behind an E'…' that has ended. The next quote continues it when it follows at once (it is a doubled one), or
   * after a line end. null: there is nothing to continue.
   */
  #afterEscape: "nothing" | "blanks" | "line end" | null = null;

  /** Whether a statement or a quote has begun and not ended. */
  get inside(): boolean {
    return this.#inStatement || this.#quote !== null;
  }

  /** `last`: nothing comes behind this data. */
  scan(data: Buffer, from: number, last: boolean): Scanned {
    let at = from;
    while (at < data.length) {
      if (this.#quote) {
        const end = this.#endOfQuote(this.#quote, data, at, last);
        if (end.ended && this.#quote.kind === "line" && !this.#inStatement) {
          this.#quote = null;
          return { kind: "comment", end: end.at };
        }
        if (!end.ended) return { kind: null, end: end.at };
        if (this.#quote.kind === "escape") this.#afterEscape = "nothing";
        this.#quote = null;
        at = end.at;
        continue;
      }
      const byte = data[at] as number;
      if (isSpace(byte)) {
        this.#passBlank(byte);
        at++;
        if (!this.#inStatement) {
          while (at < data.length && isSpace(data[at] as number)) at++;
          return { kind: "space", end: at };
        }
        continue;
      }
      if (byte === BACKSLASH) {
        const end = data.indexOf(NEWLINE, at);
        if (end < 0 && !last) return { kind: null, end: at };
        // What stands before it is the statement that the command interrupts. The two are told and refused together.
        return { kind: "command", end: end < 0 ? data.length : end + 1, command: at };
      }
      const next = this.#step(byte, data, at, last);
      if (next === null) return { kind: null, end: at };
      at = next;
      if (byte === SEMICOLON && this.#parentheses === 0 && this.#blocks === 0) {
        const psqlWaits = this.#psqlBlocks > 0;
        this.#reset();
        return { kind: "statement", end: at, psqlWaits };
      }
    }
    return { kind: null, end: at };
  }

  #passBlank(byte: number): void {
    if (this.#afterEscape === null || this.#afterEscape === "line end") return;
    this.#afterEscape = byte === NEWLINE ? "line end" : "blanks";
  }

  #reset(): void {
    this.#inStatement = false;
    this.#parentheses = 0;
    this.#blocks = 0;
    this.#psqlBlocks = 0;
    this.#behindBegin = false;
    this.#words = [];
    this.#afterEscape = null;
  }

  /** Understands one token outside of quotes; null when it is not whole yet. */
  #step(byte: number, data: Buffer, at: number, last: boolean): number | null {
    const following = data[at + 1];
    if (following === undefined && !last && needsNext(byte)) return null;
    if (byte === DASH && following === DASH) {
      this.#quote = { kind: "line" };
      return at + 2;
    }
    if (byte === SLASH && following === STAR) {
      this.#quote = { kind: "block", depth: 1 };
      this.#inStatement = true;
      this.#afterEscape = null;
      return at + 2;
    }
    this.#inStatement = true;
    if (byte === QUOTE) {
      const goesOn = this.#afterEscape === "nothing" || this.#afterEscape === "line end";
      this.#afterEscape = null;
      this.#quote = goesOn || !this.standardStrings ? { kind: "escape" } : { kind: "plain", mark: QUOTE };
      return at + 1;
    }
    this.#afterEscape = null;
    if (startsWord(byte)) return this.#word(data, at, last);
    this.#behindBegin = false;
    if (byte === DOUBLE) {
      this.#quote = { kind: "plain", mark: DOUBLE };
      return at + 1;
    }
    if (byte === DOLLAR) return this.#dollar(data, at, last);
    if (isDigit(byte)) return skipNumber(data, at, last);
    if (byte === OPEN) this.#parentheses++;
    if (byte === CLOSE && this.#parentheses > 0) this.#parentheses--;
    return at + 1;
  }

  #dollar(data: Buffer, at: number, last: boolean): number | null {
    let end = at + 1;
    while (end < data.length && continuesTag(data[end] as number, end === at + 1)) end++;
    if (end === data.length && !last && end - at < LONGEST_WORD) return null;
    if (data[end] !== DOLLAR) return at + 1;
    this.#quote = { kind: "dollar", tag: Buffer.from(data.subarray(at, end + 1)) };
    return end + 1;
  }

  #word(data: Buffer, at: number, last: boolean): number | null {
    const end = skip(data, at, continuesWord, last);
    if (end === null) return null;
    if (end - at === 1 && data[end] === QUOTE && (data[at] === 0x45 || data[at] === 0x65)) {
      this.#quote = { kind: "escape" };
      return end + 1;
    }
    this.#countBlocks(data, at, end);
    return end;
  }

  #countBlocks(data: Buffer, at: number, end: number): void {
    if (this.#words.length >= 4 && !this.#makesFunction()) return;
    // No word that counts is longer.
    const word = end - at > 9 ? "" : data.toString("latin1", at, end).toLowerCase();
    this.#remember(word);
    if (this.#parentheses > 0 || !this.#makesFunction()) return;
    if (word === "begin") this.#psqlBlocks++;
    else if (word === "case" && this.#psqlBlocks > 0) this.#psqlBlocks++;
    else if (word === "end" && this.#psqlBlocks > 0) this.#psqlBlocks--;
    if (word === "atomic" && this.#behindBegin) this.#blocks++;
    else if (word === "case" && this.#blocks > 0) this.#blocks++;
    else if (word === "end" && this.#blocks > 0) this.#blocks--;
    this.#behindBegin = word === "begin";
  }

  #remember(word: string): void {
    if (this.#words.length < 4) this.#words.push(word);
  }

  /** CREATE [OR REPLACE] FUNCTION or PROCEDURE. */
  #makesFunction(): boolean {
    const [create, second, third, fourth] = this.#words;
    if (create !== "create") return false;
    const what = second === "or" && third === "replace" ? fourth : second;
    return what === "function" || what === "procedure";
  }

  /** Where the present quote ends, or how far it surely goes on. */
  #endOfQuote(quote: Quote, data: Buffer, from: number, last: boolean): { ended: boolean; at: number } {
    if (quote.kind === "line") {
      const end = data.indexOf(NEWLINE, from);
      if (end >= 0) return this.#endOfLine(end + 1);
      return last ? this.#endOfLine(data.length) : { ended: false, at: data.length };
    }
    if (quote.kind === "plain") {
      // A doubled mark ends the quote and begins another one, which has the same effect.
      const end = data.indexOf(quote.mark, from);
      return end < 0 ? { ended: false, at: data.length } : { ended: true, at: end + 1 };
    }
    if (quote.kind === "dollar") {
      const end = data.indexOf(quote.tag, from);
      if (end >= 0) return { ended: true, at: end + quote.tag.length };
      return { ended: false, at: Math.max(from, data.length - quote.tag.length + 1) };
    }
    return quote.kind === "escape" ? endOfEscape(data, from) : endOfBlock(quote, data, from);
  }

  #endOfLine(at: number): { ended: boolean; at: number } {
    this.#passBlank(NEWLINE);
    return { ended: true, at };
  }
}

function endOfEscape(data: Buffer, from: number): { ended: boolean; at: number } {
  for (let at = from; at < data.length; at++) {
    if (data[at] === QUOTE) return { ended: true, at: at + 1 };
    if (data[at] !== BACKSLASH) continue;
    if (at + 1 === data.length) return { ended: false, at };
    at++;
  }
  return { ended: false, at: data.length };
}

function endOfBlock(quote: { depth: number }, data: Buffer, from: number): { ended: boolean; at: number } {
  for (let at = from; at < data.length; at++) {
    const [byte, next] = [data[at], data[at + 1]];
    if (byte !== SLASH && byte !== STAR) continue;
    if (next === undefined) return { ended: false, at };
    if (byte === SLASH && next === STAR) {
      quote.depth++;
      at++;
    } else if (byte === STAR && next === SLASH) {
      at++;
      if (--quote.depth === 0) return { ended: true, at: at + 1 };
    }
  }
  return { ended: false, at: data.length };
}

/** Where a run of bytes ends; null when it may go on behind the data. */
function skip(data: Buffer, from: number, goesOn: (byte: number) => boolean, last: boolean): number | null {
  let at = from + 1;
  while (at < data.length && goesOn(data[at] as number)) at++;
  return at === data.length && !last && at - from < LONGEST_WORD ? null : at;
}

/** Like psql, takes the letter of a number that runs into a word with it: the `e` of `1e'…'` begins no escape string. */
function skipNumber(data: Buffer, from: number, last: boolean): number | null {
  const end = skip(data, from, continuesNumber, last);
  return end !== null && end < data.length && startsWord(data[end] as number) ? end + 1 : end;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= RETURN);
}

/** What means something else together with what follows. */
function needsNext(byte: number): boolean {
  return byte === DASH || byte === SLASH;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function startsWord(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f || byte >= 0x80;
}

function continuesWord(byte: number): boolean {
  return startsWord(byte) || isDigit(byte) || byte === DOLLAR;
}

function continuesNumber(byte: number): boolean {
  return isDigit(byte) || byte === 0x2e || byte === 0x5f;
}

function continuesTag(byte: number, first: boolean): boolean {
  return startsWord(byte) || (!first && isDigit(byte));
}
