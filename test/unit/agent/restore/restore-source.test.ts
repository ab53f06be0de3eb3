import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentProgress } from "../../../../agent/base/reporter.ts";
import { openRestoreSource } from "../../../../agent/restore/restore-source.ts";
import type { AgentSettings } from "../../../../shared/agent-settings.ts";
import { EXIT } from "../../../../shared/exit-codes.ts";

const report = {
  info: () => undefined,
  done: () => undefined,
  warn: () => undefined,
  progress: () => silentProgress,
};

describe("what comes on standard input and breaks off", () => {
  let backupDir: string;

  beforeAll(async () => {
    backupDir = await mkdtemp(join(tmpdir(), "budgie-incoming-"));
  });

  afterAll(() => rm(backupDir, { recursive: true, force: true }));

  it.each([
    ["ENOSPC", EXIT.noSpace],
    ["EDQUOT", EXIT.noSpace],
    ["EIO", EXIT.failed],
    ["ECONNRESET", EXIT.failed],
  ])("with %s ends with exit code %i, and leaves nothing", async (code, exit) => {
    const stdin = Readable.from(
      (async function* () {
        yield Buffer.alloc(1 << 16, "-- a dump");
        throw Object.assign(new Error(`${code}: it broke off`), { code });
      })(),
    );
    const settings = { backupDir, backupDirShown: "./backups", stack: "test" } as AgentSettings;
    const options = { source: "-", stdin, shown: "dump.sql", reader: null, identities: [] };
    await expect(openRestoreSource(settings, options, report)).rejects.toMatchObject({ code: exit });
    expect(await readdir(backupDir)).toEqual([]);
  });
});
