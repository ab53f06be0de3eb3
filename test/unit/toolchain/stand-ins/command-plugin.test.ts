import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  check,
  commandInputs,
  create,
  diff,
  invokeRun,
  remove,
  runArguments,
  update,
} from "../../../../toolchain/stand-ins/command-plugin/local-command.ts";
import { type Properties, UNKNOWN } from "../../../../toolchain/stand-ins/provider.ts";

let folder: string;
let lines: string[];
const around = (signal = new AbortController().signal) => ({
  signal,
  log: (stream: string, line: string) => lines.push(`${stream}: ${line}`),
});
const made = async (inputs: Properties) => (await create("c", inputs, false, around())).state;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "command-plugin-"));
  lines = [];
});
afterEach(() => rm(folder, { recursive: true }));

describe("what runs", () => {
  it("runs create in a shell and keeps the inputs and what was printed", async () => {
    const inputs = { create: "echo one; echo two >&2", triggers: [1] };
    expect(await made(inputs)).toEqual({ ...inputs, stdout: "one", stderr: "two" });
  });

  it("takes off the last line's end only", async () => {
    expect((await made({ create: "printf '\\n a \\n\\n'" })).stdout).toBe("\n a \n");
  });

  it("gives each resource an id of its own that begins with its name", async () => {
    const [one, two] = await Promise.all([
      create("gate", {}, false, around()),
      create("gate", {}, false, around()),
    ]);
    expect(one.id).toMatch(/^gate[0-9a-f]{8}$/);
    expect(two.id).not.toBe(one.id);
  });

  it("runs update on a change, and create where there is no update", async () => {
    expect((await update({}, { create: "echo c", update: "echo u" }, false, around())).stdout).toBe("u");
    expect((await update({}, { create: "echo c" }, false, around())).stdout).toBe("c");
  });

  it("keeps the previous output where there is nothing to run", async () => {
    const olds = { stdout: "before", stderr: "too" };
    expect(await update(olds, { delete: "true" }, false, around())).toMatchObject(olds);
    expect(await made({})).toEqual({ stdout: "", stderr: "" });
  });

  it("runs delete with the script and environment of the old state", async () => {
    const file = join(folder, "deleted");
    await remove({ delete: 'echo "$WORD" > "$FILE"', environment: { WORD: "old", FILE: file } }, around());
    expect(await readFile(file, "utf8")).toBe("old\n");
  });

  it("runs nothing in a preview and does not know the output yet", async () => {
    const inputs = { create: `touch ${join(folder, "made")}` };
    const { state } = await create("c", inputs, true, around());
    expect(state).toEqual({ ...inputs, stdout: UNKNOWN, stderr: UNKNOWN });
    expect(await update({ stdout: "a" }, inputs, true, around())).toMatchObject({ stdout: UNKNOWN });
    await expect(readFile(join(folder, "made"))).rejects.toThrow("ENOENT");
  });

  it("runs several commands at once", async () => {
    const fifo = join(folder, "fifo");
    await made({ create: `mkfifo ${fifo}` });
    const [reader] = await Promise.all([
      made({ create: `cat ${fifo}` }),
      made({ create: `echo met > ${fifo}` }),
    ]);
    expect(reader.stdout).toBe("met");
  });
});

describe("what a command is given", () => {
  it("gives standard input, directory and environment", async () => {
    const state = await made({
      create: "cat; echo; pwd; echo $A",
      stdin: "in",
      dir: folder,
      environment: { A: "a b" },
    });
    expect(state.stdout).toBe(`in\n${folder}\na b`);
  });

  it("takes a standard input that the command does not read", async () => {
    expect((await made({ create: "echo done", stdin: "x".repeat(1_000_000) })).stdout).toBe("done");
  });

  it("runs another interpreter, with the command as its last argument", async () => {
    const state = await made({ create: "a b", interpreter: ["/usr/bin/printf", "<%s>"] });
    expect(state.stdout).toBe("<a b>");
  });

  it("gives the previous run's output unless addPreviousOutputInEnv is false", async () => {
    const olds = { stdout: "o", stderr: "e" };
    const news = { update: 'echo "$PULUMI_COMMAND_STDOUT,$PULUMI_COMMAND_STDERR"' };
    expect((await update(olds, news, false, around())).stdout).toBe("o,e");
    const silent = { ...news, addPreviousOutputInEnv: false };
    expect((await update(olds, silent, false, around())).stdout).toBe(",");
  });

  it("survives a line of a megabyte", async () => {
    const state = await made({ create: "head -c 1000000 /dev/zero | tr '\\0' x" });
    expect(state.stdout).toHaveLength(1_000_000);
  });

  it("does not cut characters in two", async () => {
    const create = "printf '\\303'; sleep 0.05; printf '\\244'";
    expect((await made({ create })).stdout).toBe("ä");
  });
});

describe("failures", () => {
  it("names the exit status and the command, and shows all output in order, even when nothing is logged", async () => {
    const failing = made({ create: "echo one; sleep 0.05; echo two >&2; exit 3", logging: "none" });
    await expect(failing).rejects.toThrow(
      'exit status 3: running "echo one; sleep 0.05; echo two >&2; exit 3":\none\ntwo\n',
    );
    expect(lines).toEqual([]);
  });

  it("fails when delete fails, so that the engine keeps the resource", async () => {
    await expect(remove({ delete: "exit 1" }, around())).rejects.toThrow("exit status 1");
  });

  it("fails for an interpreter or a directory that is not there", async () => {
    await expect(made({ create: "x", interpreter: ["/no/such"] })).rejects.toThrow("ENOENT");
    await expect(made({ create: "x", dir: join(folder, "none") })).rejects.toThrow("ENOENT");
  });

  it("kills the command when the engine cancels or its time is over", async () => {
    const cancel = new AbortController();
    const running = create("c", { create: "exec sleep 60" }, false, around(cancel.signal));
    cancel.abort("cancelled");
    await expect(running).rejects.toThrow("killed (cancelled)");
  });
});

describe("logging", () => {
  const command = { create: "echo o; echo e >&2" };
  it.each([
    [undefined, ["stderr: e", "stdout: o"]],
    ["stdoutAndStderr", ["stderr: e", "stdout: o"]],
    ["stdout", ["stdout: o"]],
    ["stderr", ["stderr: e"]],
    ["none", []],
  ])("%s logs %j", async (logging, expected) => {
    await made(logging === undefined ? command : { ...command, logging });
    expect(lines.sort()).toEqual(expected);
  });

  it("logs a last line that has no end", async () => {
    await made({ create: "printf 'a\\nb'" });
    expect(lines).toEqual(["stdout: a", "stdout: b"]);
  });
});

describe("differences", () => {
  it("are none for the same inputs, whatever the old outputs", () => {
    const inputs = { create: "x", environment: { A: "1" }, triggers: [{ deep: [1] }] };
    expect(diff({ ...inputs, stdout: "s" }, structuredClone(inputs))).toEqual({ changed: [], replaces: [] });
  });

  it("update for every input but triggers, which replace", () => {
    for (const name of Object.keys(commandInputs)) {
      expect(diff({ [name]: "a" }, { [name]: "b" })).toEqual({
        changed: [name],
        replaces: name === "triggers" ? ["triggers"] : [],
      });
    }
  });

  it("replace for a trigger that a preview does not know yet", () => {
    expect(diff({ triggers: ["a"] }, { triggers: [UNKNOWN] }).replaces).toEqual(["triggers"]);
    expect(diff({ triggers: ["a"] }, { triggers: UNKNOWN }).replaces).toEqual(["triggers"]);
  });
});

describe("what is refused", () => {
  const reasons = (inputs: Properties) =>
    check(inputs, commandInputs).map(({ property, reason }) => `${property} ${reason}`);

  it("is nothing that @pulumi/command declares, nor what is not known yet", () => {
    const inputs = {
      create: "a",
      update: UNKNOWN,
      environment: UNKNOWN,
      triggers: [1, null],
      logging: "none",
    };
    expect(reasons(inputs)).toEqual([]);
  });

  it("is every other property", () => {
    expect(reasons({ create: "a", timeout: 3 })).toEqual([
      "timeout is not a property of @pulumi/command 1.2.1",
    ]);
  });

  it("is a value of the wrong type", () => {
    expect(reasons({ environment: { A: 1 }, logging: "all", stdin: 3 })).toEqual([
      "environment must be a map of texts",
      "logging must be stdout, stderr, stdoutAndStderr or none",
      "stdin must be a text",
    ]);
  });

  it("is what the stand-in cannot do, with the way out", () => {
    expect(reasons({ assetPaths: ["*"] })[0]).toContain("the official plugin is needed");
  });
});

describe("the function run", () => {
  it("runs its command and gives the output with the arguments", async () => {
    const result = await invokeRun({ command: "cat", stdin: "x" }, around());
    expect(result).toEqual({ command: "cat", stdin: "x", stdout: "x", stderr: "" });
  });

  it("needs a command and knows nothing of create", () => {
    const reasons = check({ create: "x" }, runArguments).map(({ property }) => property);
    expect(reasons).toEqual(["command", "create"]);
  });
});
