import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";

/** A folder with this project in it, as from a fresh clone, whose stack `dev` has names and ports of its own. */
export interface ProjectCopy {
  folder: string;
  /** What an operator's shell has there: nothing of this test's. */
  env: NodeJS.ProcessEnv;
  /** Types a line in that folder. */
  type(line: string): Promise<{ code: number; all: string }>;
  /** Removes the stack, its volumes too, and the folder. */
  remove(docker: Docker, prefix: string): Promise<void>;
}

export async function projectCopy(settings: Record<string, string>): Promise<ProjectCopy> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-clone-"));
  const listed = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: PROJECT_FOLDER,
  });
  for (const file of listed.stdout.split("\0").filter(file => file !== "" && file !== "node_modules")) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await cp(join(PROJECT_FOLDER, file), join(folder, file)).catch(unlessRemoved);
  }
  await symlink(join(PROJECT_FOLDER, "node_modules"), join(folder, "node_modules"));
  const lines = Object.entries(settings).map(([name, value]) => `  budgie:${name}: ${JSON.stringify(value)}`);
  await writeFile(join(folder, "Pulumi.dev.yaml"), ["config:", ...lines, ""].join("\n"));
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(PULUMI_CONFIG|PULUMI_BACKEND|BUDGIE_|npm_)/.test(name),
    ),
  );
  const type = async (line: string, more: NodeJS.ProcessEnv = {}) => {
    const { exitCode, all } = await execa("sh", ["-c", line], {
      cwd: folder,
      env: { ...env, ...more },
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      all: true,
    });
    return { code: exitCode ?? 1, all };
  };
  return {
    folder,
    env,
    type,
    remove: async (docker, prefix) => {
      await type("npm run pulumi -- destroy --stack dev --yes --skip-preview", { BUDGIE_SKIP_BACKUP: "1" });
      for (const service of ["backend", "backup", "object-store", "db"])
        await docker
          .getContainer(`${prefix}-${service}`)
          .remove({ force: true, v: true })
          .catch(() => undefined);
      for (const volume of ["postgres-data", "object-store-data", "backup-records"])
        await docker
          .getVolume(`${prefix}-${volume}`)
          .remove()
          .catch(() => undefined);
      await docker
        .getNetwork(`${prefix}-network`)
        .remove()
        .catch(() => undefined);
      for (const { RepoTags: tags } of await docker.listImages())
        for (const tag of (tags ?? []).filter(tag => tag.startsWith(`${prefix}-`)))
          await docker
            .getImage(tag)
            .remove({ force: true })
            .catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What is listed, and was removed since. */
function unlessRemoved(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
