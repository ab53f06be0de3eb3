import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { refreshProblem } from "../../../../components/prepare/refresh-directory.ts";
import type { Engine } from "../../../../engine/find-engine.ts";
import type { RefreshFrom } from "../../../../settings/refresh.ts";

const LOCAL: Engine = { host: "unix:///var/run/docker.sock", kind: "docker", reachable: true };
const FAR: Engine = { host: "ssh://root@far", kind: "docker", reachable: true };

let folder: string;
let own: string;
let other: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "budgie-refresh-"));
  own = join(folder, "own");
  other = join(folder, "other");
  mkdirSync(own);
  mkdirSync(other);
  symlinkSync(own, join(folder, "link"));
  writeFileSync(join(folder, "file"), "");
});

afterAll(() => rmSync(folder, { recursive: true }));

const from = (path: string, stack = "prod"): RefreshFrom => ({
  stack,
  source: path,
  place: { kind: "directory", path },
  schedule: undefined,
  mask: { shown: "mask.sql", content: "SELECT 1;" },
  reader: undefined,
  identity: undefined,
  ssh: undefined,
});
const problem = (path: string, engine = LOCAL, stack = "staging") =>
  refreshProblem(engine, stack, from(path), own);

describe("the folder with another stack's backups", () => {
  it("may be any folder that is there, and on another machine any path", () => {
    expect(problem(other)).toBeUndefined();
    expect(problem("/srv/prod/backups", FAR)).toBeUndefined();
    expect(refreshProblem(LOCAL, "staging", undefined, own)).toBeUndefined();
  });

  it("is not made by the engine, empty and as root's", () => {
    expect(problem(join(folder, "none"))).toContain("there is no folder");
    expect(problem(join(folder, "file"))).toContain("there is no folder");
  });

  it("is not this stack's own backup directory, by whatever path", () => {
    expect(problem(own)).toContain("this stack's own backup directory");
    expect(problem(join(folder, "link"))).toContain("this stack's own backup directory");
  });

  it("is an absolute path where the engine is on another machine", () => {
    expect(problem("../prod/backups", FAR)).toContain("must be an absolute path there");
  });

  it("is of no use to a stack that was first called one of production, or like the other one", () => {
    expect(problem(other, LOCAL, "prod-eu")).toContain("prod-eu is a stack of production by its name");
    expect(problem(other, LOCAL, "prod")).toContain("that is this stack itself");
  });
});
