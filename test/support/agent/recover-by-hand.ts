import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { TEST_IMAGE } from "../servers/major.ts";
import type { TestPostgres } from "../servers/postgres.ts";

/** The commands of docs/point-in-time.md for someone who has a chain and nothing of this project. */
async function recipe(): Promise<string> {
  const page = await readFile(new URL("../../../docs/point-in-time.md", import.meta.url), "utf8");
  const [, commands] = /## Without this project\s+```bash\n([\s\S]*?)```/.exec(page) ?? [];
  if (!commands) throw new Error("docs/point-in-time.md says no commands");
  return commands;
}

/**
 * Runs them in a copy of the chain, in a container of PostgreSQL's own image, and queries the recovered server.
 * @param baseBackup the name of the base backup to begin with
 * @returns psql's answer
 */
export async function recoverByHand(
  { user }: TestPostgres,
  chain: string,
  baseBackup: string,
  at: Date,
  question: string,
): Promise<string> {
  const commands = (await recipe()).replaceAll("20261122T140000Z", baseBackup).replaceAll(
    "2026-11-22 14:03:00+01",
    at
      .toISOString()
      .replace("T", " ")
      .replace(/\.\d+Z$/, "+00"),
  );
  const copy = await mkdtemp(join(tmpdir(), "budgie-test-by-hand-"));
  await cp(chain, copy, { recursive: true });
  const container = await new Docker().createContainer({
    Image: TEST_IMAGE,
    Entrypoint: ["sleep", "600"],
    User: "postgres",
    WorkingDir: "/chain",
    Labels: { "budgie.test": "true" },
    HostConfig: { AutoRemove: true, Binds: [`${copy}:/chain`] },
  });
  try {
    await container.start();
    const { stdout: owner } = await collectFromContainer(container, ["id", "-u"]);
    await execa("chown", ["-R", `${owner.trim()}:${owner.trim()}`, copy]);
    const script = `
      { ${commands} } > server.log 2>&1 &
      for tries in $(seq 300); do
        [ "$(psql -XAtq -U ${user} -d postgres -c 'SELECT NOT pg_is_in_recovery()' 2>/dev/null)" = t ] && break
        sleep 0.2
      done
      psql -XAtq -v ON_ERROR_STOP=1 -U ${user} -d budgie_dev -c "${question}" || { cat server.log >&2; exit 1; }`;
    const { code, stdout, stderr } = await collectFromContainer(container, ["sh", "-c", script]);
    if (code !== 0) throw new Error(`The commands of docs/point-in-time.md lead to no server:\n${stderr}`);
    return stdout.trim();
  } finally {
    await container.remove({ force: true }).catch(() => undefined);
    await rm(copy, { recursive: true, force: true });
  }
}
