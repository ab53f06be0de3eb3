import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cutSegments, isSegmentOf, padPartials } from "../../../../agent/point-in-time/wal-mend.ts";

const BYTES = 16 * 1024 * 1024;
const SEGMENT = "000000010000000000000003";
const SYSTEM = "7389041234567890123";

let folder: string;
const chain = () => ({ name: `20261122T140000Z_${SYSTEM}`, systemIdentifier: SYSTEM, folder });
const received = (name: string) => join(folder, "receiving", name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-chain-"));
  await mkdir(join(folder, "receiving"));
});

afterEach(() => rm(folder, { recursive: true }));

describe("the segment that is being received", () => {
  it.each([1, 8192, BYTES - 1])(
    "of %i bytes gets the size that pg_receivewal takes, and keeps its bytes",
    async size => {
      await writeFile(received(`${SEGMENT}.partial`), Buffer.alloc(size, 7));
      await padPartials(chain(), BYTES);
      const padded = await readFile(received(`${SEGMENT}.partial`));
      expect(padded.length).toBe(BYTES);
      expect(padded.subarray(0, size).every(byte => byte === 7)).toBe(true);
      expect(padded.subarray(size).every(byte => byte === 0)).toBe(true);
    },
  );

  it("that is empty or whole stays as it is, and one that is too long loses only what is no WAL", async () => {
    await writeFile(received(`${SEGMENT}.partial`), "");
    await padPartials(chain(), BYTES);
    expect((await readFile(received(`${SEGMENT}.partial`))).length).toBe(0);
    await writeFile(received(`${SEGMENT}.partial`), Buffer.alloc(BYTES + 10, 7));
    await padPartials(chain(), BYTES);
    expect((await readFile(received(`${SEGMENT}.partial`))).length).toBe(BYTES);
  });

  it("is the only one that is touched", async () => {
    await writeFile(received(SEGMENT), "short");
    await writeFile(received("notes.partial"), "mine");
    await padPartials(chain(), BYTES);
    expect(await readFile(received(SEGMENT), "utf8")).toBe("short");
    expect(await readFile(received("notes.partial"), "utf8")).toBe("mine");
  });
});

describe("a segment that was cut", () => {
  const content = {
    chain: { name: "", systemIdentifier: SYSTEM },
    bases: [],
    sealed: [],
    received: [SEGMENT],
    partial: null,
    mark: null,
  };

  it("is one without its size that is not compressed yet", async () => {
    await writeFile(received(SEGMENT), "short");
    expect(await cutSegments(chain(), content, BYTES)).toEqual([SEGMENT]);
    const sealed = [{ file: "", segment: SEGMENT, coversUntil: 0, hash: "" }];
    expect(await cutSegments(chain(), { ...content, sealed }, BYTES)).toEqual([]);
    await writeFile(received(SEGMENT), Buffer.alloc(BYTES));
    expect(await cutSegments(chain(), content, BYTES)).toEqual([]);
  });

  it("is replaced only by that very segment, of that very cluster", () => {
    const bytes = Buffer.alloc(BYTES);
    bytes.writeUInt32LE(1, 4);
    bytes.writeBigUInt64LE(3n * BigInt(BYTES), 8);
    bytes.writeBigUInt64LE(BigInt(SYSTEM), 24);
    const is = (of: Buffer, segment = SEGMENT, systemIdentifier = SYSTEM) =>
      isSegmentOf({ systemIdentifier }, segment, BYTES, of);
    expect(is(bytes)).toBe(true);
    expect(is(bytes.subarray(0, BYTES - 1))).toBe(false);
    expect(is(bytes, "000000010000000000000004")).toBe(false);
    expect(is(bytes, "000000020000000000000003")).toBe(false);
    expect(is(bytes, SEGMENT, "7389041234567890124")).toBe(false);
    expect(is(Buffer.alloc(BYTES))).toBe(false);
  });
});
