import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { dataOutlook } from "../../../../toolchain/commands/preview-data.ts";
import { readPreview } from "../../../../toolchain/commands/preview-json.ts";
import { previewMarkdown } from "../../../../toolchain/commands/preview-markdown.ts";

const GATE =
  "urn:pulumi:dev::budgie::budgie:stack:BackupGates$command:local:Command::backup-gates-before-change";
const VOLUME = "urn:pulumi:dev::budgie::budgie:stack:Database$docker:index/volume:Volume::database-volume";
const BUCKET = "urn:pulumi:dev::budgie::budgie:stack:BackupBucket$aws:s3/bucket:Bucket::backups";

/** What `pulumi preview --json --show-sames` printed on the real engine, cut down to what is read and a little more. */
const recorded = (name: string) => readFileSync(`test/unit/preview-samples/${name}.json`, "utf8");
const summary = (name: string) => previewMarkdown("dev", readPreview(recorded(name)));

/** The summary of a recorded preview whose steps were changed. */
interface Step {
  op: string;
  urn: string;
  [field: string]: unknown;
}
function altered(name: string, alter: (steps: Step[]) => Step[]): string {
  const json = JSON.parse(recorded(name)) as { steps: Step[] };
  return JSON.stringify({ ...json, steps: alter(json.steps) });
}

describe("the summary of a preview", () => {
  it("says that nothing changes", () => {
    expect(summary("no-change")).toBe(
      [
        "## Preview of `dev`",
        "**No change.**",
        "### Data",
        [
          "- The database's container is not touched.",
          "- No backup is needed.",
          "- The volume `budgie-postgres-data` stays.",
          "",
        ].join("\n"),
      ].join("\n\n"),
    );
  });

  it("says that a new API leaves the database alone", () => {
    const text = summary("backend");
    expect(text).toContain("**1 replaced, 1 updated.**");
    expect(text).toContain("- The database's container is not touched.\n- No backup is needed.");
    expect(text).toContain("| replaced | `backend-container` | `Container` | `envs` |");
  });

  it("says that the database is replaced, after a backup, on the same volume", () => {
    const text = summary("database");
    expect(text).toContain("- The database's container **is replaced**");
    expect(text).toContain("- **A backup is taken first**; when it fails, nothing is touched.");
    expect(text).toContain("- The volume `budgie-postgres-data` stays.");
    expect(text).toContain("| replaced | `database-container` | `Container` | `ports` |");
  });

  it("warns of a new volume beside the old one, and says how to get the data back", () => {
    expect(summary("renamed")).toContain(
      "- ⚠️ **The volume `other-postgres-data` takes the place of the volume `budgie-postgres-data`, and is empty** unless there is " +
        "one of that name already: the data seems to be gone. It is still in the volume `budgie-postgres-data`; with the old name " +
        "in the settings it is back.",
    );
  });

  it("says of a destroy that the volume is kept", () => {
    const text = summary("destroy");
    expect(text).toContain("- The database's container **is removed**.\n- **A backup is taken first**");
    expect(text).toContain(
      "- The volume `budgie-postgres-data` leaves the stack, and is kept with all that is in it.",
    );
  });

  it("shows the warnings of a first preview, and counts no components", () => {
    const text = summary("first");
    expect(text).toContain("**15 created.**");
    expect(text).toContain("### Warnings\n\n```text\nNo container engine answers");
    expect(text).toContain("- The database's container is new.\n- No backup is needed.");
    expect(text).not.toMatch(/`(BackupGates|Stack|docker)`/);
  });

  it("of a refused setting is the refusal, and says nothing of the data", () => {
    const text = summary("refused");
    expect(text).toContain("**The preview failed.** What follows is incomplete.");
    expect(text).toContain("budgie:httpPrt is not a setting. Did you mean budgie:httpPort?");
    expect(text).not.toContain("### Data");
  });
});

describe("data that would be lost", () => {
  const losses = (json: string) => dataOutlook(readPreview(json).changes).losses;

  it.each(["no-change", "backend", "database", "renamed", "destroy", "first"])("is none in: %s", name => {
    expect(losses(recorded(name))).toEqual([]);
  });

  it("is what a volume holds that is no longer retained, also when nothing else changes", () => {
    expect(losses(recorded("not-retained"))).toEqual([
      "**The volume `budgie-postgres-data` is not kept: `pulumi destroy` deletes all that is in it.** Its options need " +
        "`retainOnDelete: true`.",
    ]);
    expect(summary("not-retained")).toContain("- 🛑 **The volume");
  });

  it.each(["renamed", "destroy"])("is what a volume holds that was never retained: %s", name => {
    const json = altered(name, steps =>
      steps.map(step =>
        step.urn === VOLUME ? { ...step, oldState: { inputs: { name: "old-data" } } } : step,
      ),
    );
    expect(losses(json)).toEqual(["**The volume `old-data` is deleted with all that is in it.**"]);
  });

  it("is what a bucket holds that is not retained", () => {
    const created = {
      op: "create",
      urn: BUCKET,
      newState: { custom: true, inputs: { bucket: "example-backups" } },
    };
    expect(losses(altered("no-change", steps => [...steps, created]))).toEqual([
      expect.stringContaining("The bucket `example-backups` is not kept"),
    ]);
  });
});

describe("a backup before the database is touched", () => {
  it.each([
    ["there is no gate", (steps: Step[]) => steps.filter(({ urn }) => urn !== GATE)],
    [
      "the gate is new",
      (steps: Step[]) => steps.map(s => (s.urn === GATE ? { ...s, op: "create", oldState: null } : s)),
    ],
    [
      "the gate is only updated",
      (steps: Step[]) => steps.map(s => (s.urn === GATE ? { ...s, op: "update" } : s)),
    ],
  ])("is said to be missing when %s", (_, alter) => {
    expect(previewMarkdown("dev", readPreview(altered("database", alter)))).toContain(
      "- **No backup is taken first**: the stack has no gate for it yet. Take one yourself: `npx budgie backup`",
    );
  });

  it("is seen in each way in which the engine replaces", () => {
    const inThree = altered("database", steps =>
      steps.flatMap(step =>
        step.op === "replace"
          ? ["delete-replaced", "replace", "create-replacement"].map(op => ({ ...step, op }))
          : [step],
      ),
    );
    expect(previewMarkdown("dev", readPreview(inThree))).toBe(summary("database"));
  });
});

describe("what the summary never does", () => {
  it("shows a value of a resource", () => {
    const canary = "canary-password-1";
    const state = (kept: object) => ({
      ...kept,
      inputs: { name: "budgie-db", envs: [`DB_PASSWORD=${canary}`], stdin: canary },
      outputs: { stdout: canary },
    });
    const json = altered("database", steps =>
      steps.map(step => ({
        ...step,
        oldState: state({}),
        newState: state({ custom: true, retainOnDelete: true }),
      })),
    );
    expect(previewMarkdown("dev", readPreview(json))).not.toContain(canary);
  });

  it("takes a name for Markdown", () => {
    const name = "x` | <img src=//example.com> | `y";
    const urn = `urn:pulumi:dev::budgie::docker:index/volume:Volume::${name}`;
    const created = { op: "create", urn, newState: { custom: true, inputs: { name } } };
    const text = previewMarkdown("dev", readPreview(altered("no-change", () => [created])));
    expect(text).toContain("| created | `x· · <img src=//example.com> · ·y` | `Volume` |  |");
    expect(text).toContain("- The volume without a plain name is new");
  });

  it("lets a message out of its block", () => {
    const diagnostics = [{ severity: "warning", message: "warning: a\n````\n# Approved\n````" }];
    const text = previewMarkdown(
      "dev",
      readPreview(JSON.stringify({ ...JSON.parse(recorded("no-change")), diagnostics })),
    );
    expect(text).toContain("`````text\na\n````\n# Approved\n````\n`````");
  });

  it("grows past what a comment can hold", () => {
    const many = Array.from({ length: 5000 }, (_, n) => ({
      op: "create",
      urn: `urn:pulumi:dev::budgie::docker:index/network:Network::network-${n}`,
    }));
    const text = previewMarkdown("dev", readPreview(altered("no-change", () => many)));
    expect(text).toContain("**5000 created.**");
    expect(text).toContain("| | and 4900 more | | |");
    expect(text.length).toBeLessThan(65_536);
  });
});

describe("what is not a preview", () => {
  it.each(["", "error: no stack named 'prod' found", "[]", '{"steps": [{"op": "same"}]}'])(
    "is no summary: %j",
    text => {
      expect(() => readPreview(text)).toThrow("is not what it should be");
    },
  );

  it("nor is one without a single resource, which would pass for no change", () => {
    expect(() => readPreview('{"steps": []}')).toThrow("listed no resources");
    expect(() => readPreview("{}")).toThrow("listed no resources");
  });

  it("nor is one with a change that nobody knows", () => {
    const json = altered("no-change", steps => [{ ...(steps[0] as Step), op: "vanish" }]);
    expect(() => readPreview(json)).toThrow('says "vanish" of a resource');
  });
});
