import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { contextHash } from "../../../../components/images/content-hash.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "budgie-context-"));
  put("Dockerfile", "FROM scratch\nCOPY . /\n");
  put("src/server.js", "listen()");
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function put(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

describe("the hash of a build context", () => {
  it("changes with a file's content, name, executable bit and link target", () => {
    const seen = [contextHash(folder)];
    put("src/server.js", "listen(1)");
    seen.push(contextHash(folder));
    put("src/other.js", "");
    seen.push(contextHash(folder));
    chmodSync(join(folder, "src/other.js"), 0o755);
    seen.push(contextHash(folder));
    symlinkSync("src", join(folder, "link"));
    seen.push(contextHash(folder));
    rmSync(join(folder, "link"));
    symlinkSync("elsewhere", join(folder, "link"));
    seen.push(contextHash(folder));
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("does not change with times, nor with what .dockerignore leaves out", () => {
    put(".dockerignore", "node_modules\n**/*.log\n!keep.log\n.env\n");
    put("keep.log", "kept");
    const before = contextHash(folder);
    utimesSync(join(folder, "src/server.js"), 1, 1);
    put("node_modules/pg/index.js", "installed");
    put("src/deep/debug.log", "noise");
    put(".env", "DB_PASSWORD=x");
    expect(contextHash(folder)).toBe(before);
    put("keep.log", "changed");
    expect(contextHash(folder)).not.toBe(before);
  });

  it("follows the Dockerfile, its own ignore file, and changes of the rules", () => {
    put("docker/Dockerfile", "FROM scratch\n");
    put(".dockerignore", "docker\nsrc\n");
    const general = contextHash(folder, "docker/Dockerfile");
    put("docker/Dockerfile", "FROM scratch\nLABEL a=b\n");
    expect(contextHash(folder, "docker/Dockerfile")).not.toBe(general);
    put("docker/Dockerfile.dockerignore", "nothing\n");
    const own = contextHash(folder, "docker/Dockerfile");
    put("src/server.js", "listen(2)");
    expect(contextHash(folder, "docker/Dockerfile")).not.toBe(own);
  });
});
