import { expect } from "vitest";
import type { Manifest } from "../../../agent/manifest/manifest.ts";
import { EXIT } from "../../../shared/exit-codes.ts";
import type { TestAgent } from "./agent.ts";

/** `budgie-agent backup ARGS`, which must succeed. */
export async function takeBackup(agent: TestAgent, ...args: string[]): Promise<Manifest> {
  const { code, stdout, stderr } = await agent.run(["backup", "--json", ...args]);
  expect(code, stderr).toBe(EXIT.done);
  return JSON.parse(stdout);
}
