import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bundle } from "../../../../components/images/bundle.ts";

/** Below the project folder, where bundles are made from. */
let folder: string;
let name: string;

beforeEach(() => {
  mkdirSync(".build", { recursive: true });
  folder = mkdtempSync(join(".build", "test-bundle-"));
  name = `${basename(folder)}-context`;
  write("part.ts", "export const part: string = 'one';");
  write("main.ts", "import { part } from './part.ts'; console.log(part);");
  write("Dockerfile", "FROM scratch");
});

afterEach(() => {
  rmSync(folder, { recursive: true });
  for (const left of readdirSync(".build").filter(file => file.startsWith(name)))
    rmSync(join(".build", left), { recursive: true });
});

let writtenAt = 1_700_000_000;

/** As an operator would, some time before the next `pulumi up`, and not within the same tick of the disk's clock. */
function write(file: string, text: string): void {
  writeFileSync(join(folder, file), text);
  writtenAt++;
  utimesSync(join(folder, file), writtenAt, writtenAt);
}

const make = (pins = new Map<string, string>()) => {
  const beside = [join(folder, "Dockerfile")];
  return bundle(name, { entry: join(folder, "main.ts"), file: "main.cjs", beside }, pins);
};
const made = (file: string) => join(".build", name, file);
const remembered = () => readdirSync(".build").includes(`${name}.made-from.json`);

describe("a bundle", () => {
  it("is the same for the same files, made or remembered", () => {
    const first = make();
    expect(remembered()).toBe(true);
    expect(make()).toEqual(first);
    rmSync(join(".build", `${name}.made-from.json`));
    expect(make()).toEqual(first);
  });

  it.each([
    ["the program", "main.ts", "import { part } from './part.ts'; console.log(part, part);"],
    ["what it imports", "part.ts", "export const part: string = 'two';"],
    ["what stands beside it", "Dockerfile", "FROM scratch\nUSER nobody"],
  ])("is another one when %s changes", (_, file, text) => {
    const before = make();
    write(file, text);
    const after = make();
    expect(after.hash).not.toBe(before.hash);
    if (file === "part.ts") expect(readFileSync(made("main.cjs"), "utf8")).toContain("two");
  });

  it("is made whole again when its context was changed, added to, or removed", () => {
    const { hash } = make();
    const text = readFileSync(made("main.cjs"), "utf8");
    for (const harm of [
      () => writeFileSync(made("main.cjs"), "broken"),
      () => writeFileSync(made("more"), ""),
      () => mkdirSync(made("folder")),
      () => rmSync(made("Dockerfile")),
      () => rmSync(join(".build", name), { recursive: true }),
    ]) {
      harm();
      expect(make().hash).toBe(hash);
      expect(readdirSync(join(".build", name)).sort()).toEqual(["Dockerfile", "main.cjs"]);
      expect(readFileSync(made("main.cjs"), "utf8")).toBe(text);
    }
  });

  it("is not remembered when a file was written while it was made", () => {
    utimesSync(join(folder, "part.ts"), 9_999_999_999, 9_999_999_999);
    make();
    expect(remembered()).toBe(false);
  });

  it("of a program that does not compile is an error, whatever was made before", () => {
    make();
    write("main.ts", "import './missing.ts';");
    expect(() => make()).toThrow("missing.ts");
  });

  it("begins with the pinned images, and is another one when a pin moves", () => {
    write("Dockerfile", "FROM node:24-alpine AS node\nFROM other:1\n");
    const [first, second] = ["1", "2"].map(digit => {
      const { hash } = make(new Map([["node:24-alpine", `node@sha256:${digit.repeat(64)}`]]));
      expect(readFileSync(made("Dockerfile"), "utf8")).toBe(
        `FROM node@sha256:${digit.repeat(64)} AS node\nFROM other:1\n`,
      );
      return hash;
    });
    expect(first).not.toBe(second);
  });
});
