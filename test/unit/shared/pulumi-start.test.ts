import { execa } from "execa";
import { expect, it } from "vitest";

/** What a program prints that begins as program.mjs does. */
async function printed(program: string, env: Record<string, string> = {}): Promise<string> {
  const start =
    'import { createRequire } from "node:module";\n' +
    'import { loadTypeScriptWhenUsed, skipTracesOfPromises } from "./shared/pulumi-start.mjs";\n' +
    "const require = createRequire(import.meta.url);\n" +
    'require("source-map-support/register");\n' +
    "skipTracesOfPromises();\nloadTypeScriptWhenUsed();\n";
  const options = { input: start + program, env, all: true } as const;
  return (await execa("node", ["--input-type=module", "-"], options)).all;
}

it("TypeScript's compiler is loaded when something of it is asked for, and not by the SDK itself", async () => {
  const program =
    'import { types } from "node:util";\n' +
    'const loaded = () => !types.isProxy(require.cache[require.resolve("typescript")].exports);\n' +
    'require("@pulumi/pulumi");\nconsole.log(loaded());\n' +
    'console.log(require("typescript").SyntaxKind.Unknown, loaded());\n';
  expect(await printed(program)).toBe("false\n0 true");
});

it("the compiler is loaded once, however often something of it is asked for", async () => {
  const program =
    'const early = require("typescript");\n' +
    "console.log(early.version === early.version, early.SyntaxKind === require('typescript').SyntaxKind);\n";
  expect(await printed(program)).toBe("true true");
});

it("a function that the SDK has to write down still gets the compiler", async () => {
  const program =
    'const { runtime } = require("@pulumi/pulumi");\n' +
    'const written = await runtime.serializeFunction(async () => "what runs elsewhere");\n' +
    'console.log(written.text.includes("what runs elsewhere"));\n';
  expect(await printed(program)).toBe("true");
});

const TRACES =
  'const pulumi = require("@pulumi/pulumi");\n' +
  'const { debuggablePromise } = require("@pulumi/pulumi/runtime/debuggable");\n' +
  "const promise = Promise.resolve(1);\n" +
  'debuggablePromise(promise, "one");\n' +
  'console.log(promise._debugStackTrace.split("\\n").length > 1);\n' +
  'console.log(new Error("a fault").stack.split("\\n").length > 1);\n';

it("the SDK keeps no traces of its promises; errors keep theirs", async () => {
  expect(await printed(TRACES)).toBe("false\ntrue");
});

it("with PULUMI_DEBUG_PROMISE_LEAKS it keeps them, because then they are read", async () => {
  expect(await printed(TRACES, { PULUMI_DEBUG_PROMISE_LEAKS: "true" })).toBe("true\ntrue");
});
