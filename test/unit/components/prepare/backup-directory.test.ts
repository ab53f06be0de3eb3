import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { requireUsableDirectory } from "../../../../components/prepare/backup-directory.ts";
import type { Engine } from "../../../../engine/find-engine.ts";
import { type DirectoryLack, probeDirectory } from "../../../../shared/directory-probe.ts";

vi.mock("../../../../shared/directory-probe.ts", async original => ({
  ...(await original<object>()),
  probeDirectory: vi.fn(),
}));

const LOCAL: Engine = { host: "unix:///var/run/docker.sock", kind: "docker", reachable: true };
const lack = (code: string): DirectoryLack => ({
  what: "takes no file",
  code,
  helps: undefined,
  full: false,
});
const look = (engine = LOCAL) => requireUsableDirectory(engine, "/backups", "./backups", "dir.tar");

beforeEach(() => {
  vi.spyOn(process as Required<typeof process>, "getuid").mockReturnValue(1000);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.mocked(probeDirectory).mockReset();
});

describe("the look at the backup directory", () => {
  it.each(["EACCES", "EPERM"])("leaves to the agent what this user may not do (%s)", async code => {
    vi.mocked(probeDirectory).mockResolvedValue(lack(code));
    await expect(look()).resolves.toBeUndefined();
    vi.spyOn(process as Required<typeof process>, "getuid").mockReturnValue(0);
    await expect(look()).rejects.toThrow(`The backup directory ./backups takes no file (${code}).`);
  });

  it.each(["EROFS", "ENOSPC", "EIO", "EINVAL"])(
    "refuses what no user can do (%s), with another folder to type",
    async code => {
      vi.mocked(probeDirectory).mockResolvedValue(lack(code));
      await expect(look()).rejects.toThrow(
        `(${code}). Nothing was changed.\n  npm run pulumi -- config set budgie:backupDir ANOTHER_FOLDER`,
      );
    },
  );

  it("does not ask an ordinary user to give files away", async () => {
    vi.mocked(probeDirectory).mockResolvedValue(null);
    await look();
    expect(probeDirectory).toHaveBeenCalledWith("/backups", "sql");
  });

  it("is not taken from here where the engine is on another machine: the agent takes it there", async () => {
    await look({ ...LOCAL, host: "ssh://somewhere" });
    expect(probeDirectory).not.toHaveBeenCalled();
  });
});
