import { describe, expect, it } from "vitest";
import { parseMemoryLimit } from "../../../../agent/memory/limits.ts";
import {
  besideServer,
  costliest,
  fits,
  insideAgent,
  LONGEST_TEXT,
  planDump,
  planLoad,
  type RowNeed,
  requireWritable,
} from "../../../../agent/memory/need.ts";
import { EXIT, Stop } from "../../../../shared/exit-codes.ts";

const MB = 1024 * 1024;
const limitsOf = (megabytes: number) =>
  besideServer({ database: megabytes * MB, agent: (megabytes + 512) * MB }, 128 * MB);
const DEFAULT = limitsOf(1024);
const UNLIMITED = besideServer({ database: null, agent: null }, 128 * MB);

const textOf = (megabytes: number, table = "public.t"): RowNeed => ({
  table,
  bytes: megabytes * MB,
  dumping: megabytes * MB * 4,
  loading: megabytes * MB * 5,
});

function stopOf(work: () => unknown): Stop {
  try {
    work();
  } catch (error) {
    if (error instanceof Stop) return error;
  }
  throw new Error("it was not stopped");
}

/** The command that a message names, as a number of megabytes. */
const settingIn = ({ next }: Stop) => Number(/databaseMemoryMegabytes (\d+)/.exec(next ?? "")?.[1]);

describe("the memory that a dump needs", () => {
  it("is there for ordinary rows, however little the database has", () => {
    expect(planDump(limitsOf(128), [textOf(8)], 4)).toBe(4);
    expect(planDump(limitsOf(512), [], 4)).toBe(4);
  });

  it("is never too much where nothing limits the database", () => {
    expect(planDump(UNLIMITED, [textOf(900)], 4)).toBe(4);
  });

  it("stops a dump that has not got it, with the table and a setting with which dump, restore and drill have room", () => {
    const row = textOf(400, "app.letters");
    const stop = stopOf(() => planDump(DEFAULT, [textOf(10), row], 1));
    expect(stop.code).toBe(EXIT.failed);
    expect(stop.message).toBe(
      "The longest row of app.letters has about 400 MB as text. Dumping it takes up to 1848 MB in the database's container, where the kernel kills whatever needs more than 1024 MB.",
    );
    const helps = settingIn(stop);
    expect(stop.next).toContain(
      "npm run pulumi -- config set budgie:databaseMemoryMegabytes 2304 && npm run up",
    );
    expect(planDump(limitsOf(helps), [row], 1)).toBe(1);
    for (const limits of [limitsOf(helps), insideAgent((helps + 512) * MB)]) {
      for (const operation of ["dump", "load", "compare"] as const)
        expect(fits(limits, [operation], row), operation).toBe(true);
    }
  });

  it("counts each connection's row, so fewer connections dump where the longest have no room together", () => {
    const rows = [textOf(50, "a"), textOf(90, "b"), textOf(60, "c")];
    expect(planDump(DEFAULT, rows, 4)).toBe(2);
    expect(planDump(limitsOf(512), [textOf(50, "a"), textOf(50, "b")], 4)).toBe(1);
    expect(planDump(limitsOf(2048), rows, 4)).toBe(4);
  });

  it("counts pg_dump's own in the agent", () => {
    const limits = besideServer({ database: null, agent: 512 * MB }, 128 * MB);
    expect(stopOf(() => planDump(limits, [textOf(200)], 1)).message).toContain(
      "up to 688 MB in the backup agent's container",
    );
  });

  it("cannot help a row that PostgreSQL itself does not write", () => {
    requireWritable("public.t", LONGEST_TEXT);
    const stop = stopOf(() => requireWritable("public.t", LONGEST_TEXT + 1));
    expect(stop.message).toMatch(
      /A row of public.t is 1024 MB long as text\. PostgreSQL writes and reads no row/,
    );
  });
});

describe("the memory that a load needs", () => {
  const alongside = { safetyBackupAlongside: true };
  const alone = { safetyBackupAlongside: false };
  const row = (megabytes: number) => ({ table: "public.t", bytes: megabytes * MB });

  it("lets everything go on at once for ordinary rows", () => {
    expect(planLoad(DEFAULT, null, alongside)).toBe("at once");
    expect(planLoad(DEFAULT, row(1), alongside)).toBe("at once");
    expect(planLoad(limitsOf(512), row(100), { ...alongside, recorded: null })).toBe("at once");
    expect(planLoad(UNLIMITED, row(900), alongside)).toBe("at once");
  });

  it("has long rows loaded, compared and saved one after the other", () => {
    expect(planLoad(DEFAULT, row(100), alongside)).toBe("one after the other");
    expect(planLoad(DEFAULT, row(100), alone)).toBe("one after the other");
  });

  it("is known better where it was recorded with the backup", () => {
    const recorded = textOf(50);
    expect(planLoad(DEFAULT, row(50), alone)).toBe("one after the other");
    expect(planLoad(DEFAULT, row(50), { ...alongside, recorded })).toBe("at once");
    expect(planLoad(DEFAULT, row(50), { ...alone, recorded, connections: 3 })).toBe("one after the other");
    const jsonb = { ...recorded, loading: 50 * MB * 28 };
    expect(settingIn(stopOf(() => planLoad(DEFAULT, row(50), { ...alone, recorded: jsonb })))).toBe(1792);
  });

  it("counts what the safety backup reads, which may be longer than what is loaded", () => {
    const recorded = textOf(20);
    expect(planLoad(DEFAULT, row(20), { ...alongside, recorded, liveRow: null })).toBe("at once");
    expect(planLoad(DEFAULT, row(20), { ...alongside, recorded, liveRow: textOf(180) })).toBe(
      "one after the other",
    );
    expect(planLoad(DEFAULT, row(20), { ...alone, recorded, liveRow: textOf(180) })).toBe("at once");
  });

  it("stops a load that has not got it even alone, with the table and the setting", () => {
    const stop = stopOf(() => planLoad(DEFAULT, row(300), alone));
    expect(stop.message).toContain(
      "The longest row of public.t has about 300 MB as text. Loading it takes up to 1673 MB",
    );
    expect(planLoad(limitsOf(settingIn(stop)), row(300), alone)).toBe("one after the other");
  });

  it("is all the agent's in a drill: the server's, and what reads it back", () => {
    const recorded = { ...textOf(400), dumping: 400 * MB * 2.5, loading: 400 * MB * 3.5 };
    expect(planLoad(insideAgent(2560 * MB), row(400), { ...alone, recorded })).toBe("one after the other");
    const stop = stopOf(() => planLoad(insideAgent(1536 * MB), row(400), { ...alone, recorded }));
    expect(stop.message).toContain(
      "in the backup agent's container, where the kernel kills whatever needs more than 1536 MB",
    );
    expect(planLoad(insideAgent((settingIn(stop) + 512) * MB), row(400), { ...alone, recorded })).toBe(
      "one after the other",
    );
  });
});

it("what is recorded with a backup covers all its rows", () => {
  expect(costliest([])).toBeNull();
  const jsonb = { table: "j", bytes: 10, dumping: 80, loading: 280 };
  const text = { table: "t", bytes: 50, dumping: 200, loading: 250 };
  expect(costliest([text, jsonb])).toEqual({ table: "j", bytes: 50, dumping: 200, loading: 280 });
});

it("a container's limit is read of control groups of both versions", () => {
  expect(parseMemoryLimit("max\n")).toBeNull();
  expect(parseMemoryLimit("9223372036854771712\n")).toBeNull();
  expect(parseMemoryLimit("1610612736\n")).toBe(1536 * MB);
});
