import type { TestAgent } from "./agent.ts";

/** For the agent's environment: where it shows how things stand. */
export const BOARD_PORT = "8617";

/** What the agent shows on its port, asked from within its container. */
export async function shownBy(agent: TestAgent, path: string): Promise<{ status: number; body: string }> {
  const ask = `fetch("http://localhost:${BOARD_PORT}${path}").then(async a => console.log(a.status + "\\n" + await a.text()))`;
  const { stdout } = await agent.exec(["node", "-e", ask]);
  const [status = "", ...body] = stdout.split("\n");
  return { status: Number(status), body: body.join("\n") };
}
