import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { explainWrite, reserveGuard, watchReserve } from "../../../../agent/base/durable-file.ts";
import { EXIT, Stop } from "../../../../shared/exit-codes.ts";

const failure = (code: string) => Object.assign(new Error(`${code}: it failed`), { code });

describe("a write that failed", () => {
  it.each(["ENOSPC", "EDQUOT"])("with %s ends as a full disk", code => {
    const stop = explainWrite(failure(code), "a.sql", "./backups");
    expect([stop.code, stop.message]).toEqual([EXIT.noSpace, "The disk with ./backups is full."]);
  });

  it.each(["EIO", "EACCES", "EROFS", "ECONNRESET"])("with %s is no full disk", code => {
    const stop = explainWrite(failure(code), "a.sql", "./backups");
    expect(stop.code).toBe(EXIT.failed);
    expect(stop.message).toBe(`a.sql could not be written to ./backups: ${code}: it failed.`);
    expect(stop.next).toContain("run the same command again");
  });

  it("with a Stop ends as that says", () => {
    const stop = new Stop(EXIT.storeUnreachable, "The store is gone.");
    expect(explainWrite(stop, "a.sql", "./backups")).toBe(stop);
  });
});

describe("a disk that cannot be asked for its space", () => {
  let gone: string;

  beforeEach(async () => {
    gone = await mkdtemp(join(tmpdir(), "budgie-gone-"));
    await rm(gone, { recursive: true });
  });

  afterEach(() => vi.useRealTimers());

  it("stops what is written there, and is not called full", async () => {
    const why = await reserveGuard(gone, "./backups")(1 << 30).catch((error: unknown) => error);
    expect(why).toMatchObject({ code: EXIT.failed });
    expect((why as Stop).message).toMatch(/nobody knows how much space is left in \.\/backups: ENOENT/);
  });

  it("stops what is watched, and is not called full", async () => {
    const why = await new Promise<Stop>(resolve => {
      const end = watchReserve(gone, "./backups", 5, stop => {
        end();
        resolve(stop);
      });
    });
    expect(why.code).toBe(EXIT.failed);
  });
});
