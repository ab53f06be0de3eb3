import ssh2 from "ssh2";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fingerprint, keyLine, parseHostKey, shownHostKey } from "../../../../agent/ssh/host-key.ts";
import { leftovers } from "../../../../agent/ssh/missing.ts";
import { questions } from "../../../../agent/ssh/questions.ts";
import { EXIT, Stop } from "../../../../shared/exit-codes.ts";

describe("the server's key", () => {
  // Made with ssh-keygen; the fingerprint is what `ssh-keygen -l` says of it.
  const line =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF5KPJZoZrNwE0yAnBLJ6zvrcnrrqzz/zhhvHMsg/6St root@backup-host";

  it("has the fingerprint that ssh-keygen prints, with or without a comment", () => {
    const expected = "SHA256:la8kZ6paL/aKLTr9eXQOIKbbxVK+WhYJh3hEBHij1X4";
    expect(fingerprint(parseHostKey(line))).toBe(expected);
    expect(fingerprint(parseHostKey(line.split(" ").slice(0, 2).join(" ")))).toBe(expected);
  });

  it("is written the same, whether it was configured or shown", () => {
    const { blob } = parseHostKey(line);
    expect(keyLine(shownHostKey(blob))).toBe(line.split(" ").slice(0, 2).join(" "));
  });

  it.each(["", "ssh-ed25519", "SHA256:abc", "backup-host"])("is refused when it is %j", text => {
    expect(() => parseHostKey(text)).toThrow(expect.objectContaining({ code: EXIT.storeRefused }));
  });

  it("is refused when it is a private key, which then is not repeated", () => {
    const { private: secret } = ssh2.utils.generateKeyPairSync("ed25519");
    expect(() => parseHostKey(secret)).toThrow("is not a public key");
    expect(() => parseHostKey(secret)).not.toThrow(secret.split("\n")[1]);
  });
});

describe("what a cut run left in the folder", () => {
  it("is told from another stack's, and from what is no backup", () => {
    const backup = "budgie_20260101_000000.sql";
    const own = [
      `.partial-dev-${backup}`,
      `.partial-dev-${backup}.gz`,
      ".partial-dev-budgie_20260101_000000.json",
    ];
    const foreign = [backup, `.partial-dev-2-${backup}`, `.partial-prod-${backup}`, ".partial-dev-notes.txt"];
    const listing = new Map([...own, ...foreign].map(name => [name, 1]));
    expect(leftovers(listing, "dev")).toEqual(own);
  });
});

describe("a question to a server", () => {
  const silent = (seconds: number) => new Stop(EXIT.storeUnreachable, `silent for ${seconds} s`);
  const never = () => undefined;

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("that is not answered for 30 seconds ends the connection, and every later question at once", async () => {
    const { ask } = questions(silent);
    const asked = expect(ask(never)).rejects.toThrow("silent for 30 s");
    await vi.advanceTimersByTimeAsync(30_000);
    await asked;
    await expect(ask(answer => answer(null, "too late"))).rejects.toThrow("silent for 30 s");
  });

  it("may wait for long while others are answered", async () => {
    const { ask } = questions(silent);
    let answerLate: (error: null, value: string) => void = never;
    const late = ask<string>(answer => {
      answerLate = answer;
    });
    for (let minute = 0; minute < 5; minute++) {
      await ask<void>(answer => answer());
      await vi.advanceTimersByTimeAsync(29_000);
    }
    answerLate(null, "at last");
    expect(await late).toBe("at last");
  });

  it("that cannot even be put fails, and leaves nothing running", async () => {
    const { ask } = questions(silent);
    await expect(
      ask(() => {
        throw new Error("Server does not support this extended request");
      }),
    ).rejects.toThrow("does not support");
    expect(vi.getTimerCount()).toBe(0);
  });
});
