import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isBackupName } from "../../../../agent/manifest/backup-name.ts";
import { keepState, keptStates, stateFolder } from "../../../../agent/state/keep.ts";
import { readSettings } from "../../../../shared/agent-environment.ts";
import { AGENT_ENVIRONMENT } from "../../../support/agent/environment.ts";

let backupDir: string;
const settings = () => ({ ...readSettings(AGENT_ENVIRONMENT), backupDir });

beforeEach(async () => {
  backupDir = await mkdtemp(join(tmpdir(), "budgie-test-state-"));
});
afterEach(() => rm(backupDir, { recursive: true }));

const kept = (id: string, at = "2026-11-22T14:00:00.000Z") => ({
  format: 1,
  stack: "dev",
  stackVersion: "0.1.0",
  at,
  settings: "config: {}\n",
  state: {
    version: 3,
    deployment: {
      manifest: { time: at },
      resources: [{ urn: "urn:pulumi:dev::budgie::a::b", type: "a", id }],
    },
  },
});
const keep = (value: unknown, minute = 0) =>
  keepState(settings(), `${JSON.stringify(value)}\n`, new Date(Date.UTC(2026, 10, 22, 14, minute)));

describe("the stack's state beside the backups", () => {
  it("is whole, only its owner reads it, and it has no backup's name", async () => {
    const name = await keep(kept("one"));
    expect(name).toMatch(/^state_20261122T140000Z-[0-9a-f]{12}\.json$/);
    const path = join(stateFolder(settings()), name ?? "");
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual(kept("one"));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(stateFolder(settings()))).mode & 0o777).toBe(0o700);
    expect(isBackupName(name ?? "")).toBe(false);
    expect((await readdir(backupDir)).filter(isBackupName)).toEqual([]);
  });

  it("is kept in its last five versions, and an up that changed nothing adds none", async () => {
    for (let minute = 0; minute < 8; minute++) {
      expect(await keep(kept(`id ${minute}`), minute)).not.toBeNull();
      expect(await keep(kept(`id ${minute}`, "2026-11-23T00:00:00.000Z"), minute + 30)).toBeNull();
    }
    const names = await keptStates(settings());
    expect(names).toHaveLength(5);
    expect(names.at(-1)).toContain("T140700Z");
  });

  it("leaves alone what it has not written", async () => {
    await mkdir(stateFolder(settings()), { recursive: true });
    for (let minute = 0; minute < 7; minute++) await keep(kept(`id ${minute}`), minute);
    await mkdir(join(stateFolder(settings()), "mine"));
    await keep(kept("another"), 9);
    expect(await readdir(stateFolder(settings()))).toContain("mine");
  });

  it("is refused with a secret that everybody can read, and when it is something else", async () => {
    const open = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", plaintext: '"x"' };
    await expect(keep({ ...kept("one"), more: open })).rejects.toThrow("not encrypted");
    await expect(keep({ version: 3, deployment: {} })).rejects.toThrow("no state of a stack");
    await expect(keepState(settings(), '{"format":1,', new Date())).rejects.toThrow("no state of a stack");
    expect(await keptStates(settings())).toEqual([]);
  });
});
