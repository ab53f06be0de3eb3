import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../../toolchain/machine/environment.ts";
import { type ComponentProgram, componentProgram, succeed } from "../support/component/component-program.ts";
import { type GitServer, startGitServer } from "../support/servers/git-server.ts";
import { describeSlowly } from "../support/slow-lane.ts";

let folder: string;
let repository: GitServer;
let program: ComponentProgram;

/** What is fetched from the repository must not stay among the plugins of this machine. */
async function homeOfItsOwn(): Promise<string> {
  const { PULUMI_HOME = join(homedir(), ".pulumi") } = { ...process.env, ...(await toolchainEnvironment()) };
  const home = join(folder, "home");
  for (const name of await readdir(join(PULUMI_HOME, "plugins")))
    if (/^resource-(docker|command)-/.test(name))
      await cp(join(PULUMI_HOME, "plugins", name), join(home, "plugins", name), { recursive: true });
  return home;
}

describeSlowly("a program whose package comes from a Git repository", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "budgie-test-repository-"));
    repository = await startGitServer(folder);
    program = await componentProgram("shop", "nodejs");
    await cp(join(PROJECT_FOLDER, "examples/typescript/package.json"), join(program.folder, "package.json"));
    program.knows({ SSL_CERT_FILE: repository.certificate, PULUMI_HOME: await homeOfItsOwn() });
    await succeed(program.pulumi("stack", "select", "dev"));
  });
  afterAll(async () => {
    await program?.remove();
    await repository?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("is fetched with the packages that it needs, and its version is in Pulumi.yaml", async () => {
    await succeed(program.pulumi("package", "add", `${repository.address}/pulumi-package`));
    const named = await readFile(join(program.folder, "Pulumi.yaml"), "utf8");
    expect(named).toMatch(/budgie: .*\/budgie\/stack\.git\/pulumi-package@/);
  });

  it("makes a database with a first backup that is proven, and the second preview shows no change", async () => {
    const { dependencies } = JSON.parse(await readFile(join(program.folder, "package.json"), "utf8"));
    const name = Object.keys(dependencies).find(name => name.endsWith("/budgie"));
    const source = [
      `import * as budgie from "${name}";`,
      `const args = { namePrefix: "${program.prefix}", databaseName: "shop", objectStore: "none" };`,
      `export const { firstBackup } = new budgie.PostgresWithBackups("database", args);`,
    ];
    await writeFile(join(program.folder, "index.ts"), `${source.join("\n")}\n`);
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    expect(await succeed(program.pulumi("stack", "output", "firstBackup"))).toMatch(/^budgie_\S+, proven /);
    await succeed(program.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  it("takes a backup before a destroy, and keeps the data", async () => {
    await program.sql("CREATE TABLE orders AS SELECT 1 AS id");
    await succeed(program.pulumi("destroy", "--yes", "--skip-preview"));
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    expect(await program.sql("SELECT count(*) FROM orders")).toBe("1");
  });

  it("is a template, too: `pulumi new` makes the project out of it", async () => {
    const target = join(folder, "new");
    await mkdir(target);
    const args = [
      "new",
      `https://${repository.address}`,
      "--name",
      "budgie",
      "--yes",
      "--generate-only",
      "--dir",
      target,
    ];
    await succeed(program.pulumi(...args));
    expect(await readFile(join(target, "package.json"), "utf8")).toContain('"name": "budgie-stack"');
    expect(await readFile(join(target, "Pulumi.yaml"), "utf8")).toContain("name: budgie\n");
  });
});
