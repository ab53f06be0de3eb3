import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { readStackState } from "../../../../components/prepare/stack-state.ts";

const within = { parent: undefined, name: (name: string) => name } as never;
const urn = "urn:pulumi:dev::budgie::docker:index/volume:Volume::database-volume";
const answer = { outputs: { [urn]: { type: "docker:index/volume:Volume", outputs: { name: "kept" } } } };
const halfWritten = new Error(
  "invocation of pulumi:pulumi:readStackResourceOutputs returned an error: failed to load checkpoint: EOF",
);

beforeAll(() =>
  pulumi.runtime.setMocks(
    { newResource: () => ({ id: "", state: {} }), call: () => ({}) },
    "budgie",
    "dev",
    false,
    "organization",
  ),
);
afterEach(() => vi.restoreAllMocks());

it("a state that the engine is just writing is read again, until it is whole", async () => {
  const invoke = vi.spyOn(pulumi.runtime, "invoke");
  invoke.mockRejectedValueOnce(halfWritten).mockRejectedValueOnce(halfWritten).mockResolvedValue(answer);
  const state = await readStackState(within);
  expect(state.resource("docker:index/volume:Volume", "database-volume")).toEqual({
    urn,
    outputs: { name: "kept" },
  });
  expect(invoke).toHaveBeenCalledTimes(3);
});

it("a state that stays half a file is an error, and so is any other error at once", async () => {
  const invoke = vi.spyOn(pulumi.runtime, "invoke").mockRejectedValue(halfWritten);
  await expect(readStackState(within)).rejects.toThrow("failed to load checkpoint: EOF");
  expect(invoke.mock.calls.length).toBeGreaterThan(10);
  invoke.mockClear().mockRejectedValue(new Error("the passphrase is wrong"));
  await expect(readStackState(within)).rejects.toThrow("the passphrase is wrong");
  expect(invoke).toHaveBeenCalledTimes(1);
});
