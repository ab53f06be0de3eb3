import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DEFAULT_DATABASE_IMAGE } from "../../shared/database-image.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { type ComponentProgram, componentProgram, succeed } from "../support/component/component-program.ts";
import { describeSlowly } from "../support/slow-lane.ts";

let program: ComponentProgram;

/** The example's application, as a client of the database: it ends where it cannot log in. */
const APPLICATION = `image: image.imageId,
    command: ["sh", "-c", "PGPASSWORD=$(cat $PGPASSWORD_FILE) psql -U budgie_user -d shop -c 'CREATE TABLE IF NOT EXISTS starts (at timestamptz); INSERT INTO starts VALUES (now())' && exec sleep 600"],
    mustRun: true,`;

async function copyExample(): Promise<void> {
  const example = join(PROJECT_FOLDER, "examples/typescript");
  await cp(example, program.folder, { recursive: true });
  const source = await readFile(join(example, "index.ts"), "utf8");
  const ours = source
    .replace("registry.example.com/shop:1.4.2", DEFAULT_DATABASE_IMAGE)
    .replace("image: image.imageId,", APPLICATION)
    .replace('namePrefix: "shop"', `namePrefix: "${program.prefix}", objectStore: "none"`)
    .replace('name: "shop-app"', `name: "${program.prefix}-app"`)
    .replace(/ports: .*/, "");
  await writeFile(join(program.folder, "index.ts"), ours);
}

describeSlowly("the example in TypeScript", () => {
  beforeAll(async () => {
    program = await componentProgram("shop", "nodejs");
    await copyExample();
  });
  afterAll(() => program?.remove());

  it("gets an SDK from the package, and its application logs in with what the component gives it", async () => {
    await succeed(program.pulumi("package", "add", join(PROJECT_FOLDER, "pulumi-package")));
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    expect(await program.sql("SELECT count(*) FROM starts")).toBe("1");
    expect(await succeed(program.pulumi("stack", "output", "firstBackup"))).toMatch(/^budgie_\S+, proven /);
    await succeed(program.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  it("removes the application before the gate's backup, and keeps the data", async () => {
    await succeed(program.pulumi("destroy", "--yes", "--skip-preview"));
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    expect(await program.sql("SELECT count(*) FROM starts")).toBe("2");
  });
});
