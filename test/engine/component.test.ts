import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { type ComponentProgram, componentProgram, succeed } from "../support/component/component-program.ts";
import { itSlowly } from "../support/slow-lane.ts";

const PACKAGE = join(PROJECT_FOLDER, "pulumi-package");

let program: ComponentProgram;

const resources = (prefix: string, more = "") => `resources:
  database:
    type: budgie:PostgresWithBackups
    properties:
      namePrefix: ${prefix}
      databaseName: shop
      objectStore: none
      databasePassword: {fn::secret: canary-of-a-Password-9}
${more}outputs:
  host: \${database.host}
  connectionUri: \${database.connectionUri}
  firstBackup: \${database.firstBackup}
  url: \${database.url}
`;

beforeAll(async () => {
  program = await componentProgram("shop");
  await succeed(program.pulumi("package", "add", PACKAGE));
  await program.write(resources(program.prefix));
});

afterAll(() => program?.remove());

describe("a program outside the project's folder that uses the package", () => {
  it("names the package in its Pulumi.yaml", async () => {
    expect(await readFile(join(program.folder, "Pulumi.yaml"), "utf8")).toContain(`budgie: ${PACKAGE}`);
  });

  it("gets a database with a first backup that is proven, and the second preview shows no change", async () => {
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    const outputs = JSON.parse(await succeed(program.pulumi("stack", "output", "--json", "--show-secrets")));
    expect(outputs).toMatchObject({
      host: `${program.prefix}-db`,
      url: "",
      connectionUri: `postgresql://budgie_user:canary-of-a-Password-9@${program.prefix}-db:5432/shop`,
    });
    expect(outputs.firstBackup).toMatch(/^budgie_\d{8}_\d{6}\.sql, proven /);
    await succeed(program.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  it("keeps its password out of the plaintext of its state", async () => {
    expect(await program.stateText()).not.toContain("canary-of-a-Password-9");
  });

  it("is backed up, listed and restored by the operator's commands", async () => {
    await program.sql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2)");
    await succeed(program.budgie("backup"));
    expect(await succeed(program.budgie("list"))).toMatch(/manual +1 table/);
    await program.sql("DROP TABLE orders");
    expect(await succeed(program.budgie("restore", "latest", "--yes"))).toContain("no backend of its own");
    expect(await program.sql("SELECT count(*) FROM orders")).toBe("2");
  });

  it("is told of every wrong argument by its name, and nothing is changed", async () => {
    await program.write(resources(program.prefix, "      keepDays: 0\n      timezone: Mars\n"));
    const { code, all } = await program.pulumi("up", "--yes", "--skip-preview");
    expect(code, all).not.toBe(0);
    expect(all).toContain("2 arguments of database are wrong. Nothing was changed.");
    expect(all).toContain('keepDays is "0".');
    await program.write(resources(program.prefix));
    expect(await program.sql("SELECT count(*) FROM orders")).toBe("2");
  });

  itSlowly("cannot leave its data behind for another database or volume", async () => {
    for (const other of ["namePrefix: other-prefix", "databaseName: other"]) {
      const [name] = other.split(":");
      await program.write(resources(program.prefix).replace(new RegExp(`${name}: .*`), other));
      const { code, all } = await program.pulumi("preview");
      expect(code, all).not.toBe(0);
      expect(all).toContain("would be left behind. Nothing was changed.");
    }
    await program.write(resources(program.prefix));
  });

  itSlowly("is refused the prefix of another program's stack of the same name", async () => {
    const other = await componentProgram("other");
    try {
      await succeed(other.pulumi("package", "add", PACKAGE));
      await other.write(resources(program.prefix));
      const { code, all } = await other.pulumi("up", "--yes", "--skip-preview");
      expect(code, all).not.toBe(0);
      expect(all).toContain(`The name prefix ${program.prefix} belongs to the stack shop.dev.database`);
      expect(await program.sql("SELECT count(*) FROM orders")).toBe("2");
    } finally {
      await other.remove();
    }
  });

  itSlowly(
    "keeps its volume through a destroy, which takes a backup first, and finds the data again",
    async () => {
      const backups = async () =>
        (await readdir(join(program.folder, "backups"))).filter(name => name.endsWith(".sql"));
      const before = (await backups()).length;
      await succeed(program.pulumi("destroy", "--yes", "--skip-preview"));
      expect((await backups()).length).toBeGreaterThan(before);
      await succeed(program.pulumi("up", "--yes", "--skip-preview"));
      expect(await program.sql("SELECT count(*) FROM orders")).toBe("2");
    },
  );

  itSlowly("has several of them side by side, each with point in time and a store of its own", async () => {
    const another = (name: string, prefix: string, backupDir: string) => `  ${name}:
    type: budgie:PostgresWithBackups
    properties:
      namePrefix: ${prefix}
      databaseName: shop
      backupDir: ${backupDir}
      objectStore: local
      pointInTime: true
      backupFormat: dump
`;
    const prefixes = [`${program.prefix}-forum`, `${program.prefix}-wiki`];
    const [forum, wiki] = prefixes as [string, string];
    await program.write(resources(program.prefix, another("forum", forum, "./backups")));
    const shared = await program.pulumi("up", "--yes", "--skip-preview");
    expect(shared.code, shared.all).not.toBe(0);
    expect(shared.all).toContain(`set the argument backupDir of forum to ./backups-${forum}`);

    const [withForum, withWiki] = [
      another("forum", forum, "./backups-forum"),
      another("wiki", wiki, "./backups-wiki"),
    ];
    const readers = ["forum", "wiki"].map(
      name => `  ${name}Id: \${${name}.bucketReaderId}\n  ${name}Secret: \${${name}.bucketReaderSecret}\n`,
    );
    await program.write(resources(program.prefix, withForum + withWiki) + readers.join(""));
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    await succeed(program.pulumi("preview", "--refresh", "--expect-no-changes"));
    expect(await program.sql("SELECT count(*) FROM orders")).toBe("2");

    for (const prefix of prefixes)
      await program.sql(`CREATE TABLE of_its_own AS SELECT '${prefix}' AS name`, prefix);
    const output = (name: string) => succeed(program.pulumi("stack", "output", name, "--show-secrets"));
    for (const [name, prefix] of [
      ["forum", forum],
      ["wiki", wiki],
    ] as const) {
      await succeed(program.budgieOn(prefix, ["backup"]));
      const reader = {
        BUDGIE_S3_READER_ACCESS_KEY_ID: await output(`${name}Id`),
        BUDGIE_S3_READER_SECRET_ACCESS_KEY: await output(`${name}Secret`),
      };
      expect(await program.stateText()).not.toContain(reader.BUDGIE_S3_READER_SECRET_ACCESS_KEY);
      const kept = JSON.parse(
        await succeed(program.budgieOn(prefix, ["list", "--remote", "--json"], reader)),
      );
      expect(kept.length, `${prefix} has sent its backups`).toBeGreaterThan(1);
      await program.sql("DROP TABLE of_its_own", prefix);
      await succeed(program.budgieOn(prefix, ["restore", "latest", "--yes"]));
      expect(await program.sql("SELECT name FROM of_its_own", prefix)).toBe(prefix);
      const status = JSON.parse(await succeed(program.budgieOn(prefix, ["status", "--json"])));
      expect(status.pointInTime, prefix).not.toBeNull();
    }

    await program.write(resources(program.prefix, withForum));
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    expect(await program.sql("SELECT name FROM of_its_own", forum)).toBe(forum);
    await program.write(resources(program.prefix, withForum + withWiki));
    await succeed(program.pulumi("up", "--yes", "--skip-preview"));
    expect(await program.sql("SELECT name FROM of_its_own", wiki), "its volume was kept").toBe(wiki);
  });
});
