import { expect } from "vitest";
import { EXIT } from "../../../shared/exit-codes.ts";
import type { KeptState } from "../../../shared/kept-state.ts";
import type { TestAgent } from "./agent.ts";

/** Has the agent keep a state without resources, as it is after an `up`. Returns what was given to it. */
export async function keepAState(agent: TestAgent): Promise<KeptState> {
  const state: KeptState = {
    format: 1,
    stack: "test",
    stackVersion: "0.1.0",
    at: new Date().toISOString(),
    settings: null,
    state: { version: 3, deployment: { manifest: {}, resources: [] } },
  };
  const { code, stderr } = await agent.run(["keep-state"], Buffer.from(JSON.stringify(state)));
  expect(code, stderr).toBe(EXIT.done);
  return state;
}
