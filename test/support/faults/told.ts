import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { containerLog } from "../../../engine/container-log.ts";
import { EXIT } from "../../../shared/exit-codes.ts";
import type { LineId } from "../../../shared/status-lines.ts";
import type { TestAgent } from "../agent/agent.ts";
import { shownBy } from "../agent/board.ts";
import { placeInNetwork } from "../servers/container-address.ts";
import type { Webhook } from "../servers/webhook.ts";
import { describeSlowly } from "../slow-lane.ts";
import { until } from "../until.ts";

export interface Fault {
  fault: string;
  bring: () => Promise<unknown>;
  /** The status line that turns red, and what it says. */
  line: LineId;
  says: RegExp;
  undo: () => Promise<unknown>;
}

export interface Watched {
  agent: TestAgent;
  webhook: Webhook;
  /** This machine's folder of the agent's records. */
  records: string;
}

/** Where the agent's alerts go, for its environment. */
export const ALERTS_FILE = "/root/alerts";

/** From now on the agent calls the webhook. */
export async function tellWebhook(agent: TestAgent, webhook: Webhook): Promise<void> {
  const { gateway } = await placeInNetwork(agent.container);
  const alerts = { heartbeat: "", alerts: `http://${gateway}:${webhook.port}/hook` };
  const write = `umask 077; echo '${JSON.stringify(alerts)}' > ${ALERTS_FILE}`;
  const { code, stderr } = await agent.exec(["sh", "-c", write]);
  expect(code, stderr).toBe(0);
}

/**
 * Brings one fault after the other, and expects it in the status, the probe, the metrics, on the page and in an alert, and in each of
 * them that it is over. The agent must serve, show its board (board.ts), and be well when this begins.
 */
export function tellEach(faults: readonly Fault[], watched: () => Watched): void {
  describeSlowly.each(faults)("when $fault", ({ bring, line, says, undo }) => {
    let brought = false;
    const over = async () => {
      if (brought) await undo();
      brought = false;
    };
    beforeAll(async () => {
      watched().webhook.taken.length = 0;
      brought = true;
      await bring();
    });
    afterAll(over);

    it("the status, the probe, the metrics, the page and the alert tell it, and tell when it is over", async () => {
      const { agent, webhook } = watched();
      const status = () => statusOf(agent);
      const patiently = {
        withinMs: 120_000,
        everyMs: 500,
        log: async () =>
          [
            JSON.stringify({ told: webhook.taken, lines: (await status()).lines }),
            (await agent.exec(["sh", "-c", 'cat "$BUDGIE_RECORDS_DIR/alerts"'])).stdout,
            await containerLog(agent.container, { tail: 30 }),
          ].join("\n"),
      };
      const shows = (path: string, what: RegExp) =>
        until(
          `${path} shows ${what}`,
          () => shownBy(agent, path),
          ({ body }) => what.test(body),
          patiently,
        );
      const told = (kind: string) =>
        until(
          `an alert that it is ${kind}`,
          async () => webhook.taken.filter(body => (body as { kind: string }).kind === kind),
          ({ length }) => length === 1,
          patiently,
        );

      const { lines } = await status();
      const red = lines.find(({ id }) => id === line);
      expect(red, JSON.stringify(lines, null, 1)).toMatchObject({ level: "FAIL" });
      expect(red?.problems.join("\n")).toMatch(says);

      await lookAndCallAtOnce(watched());
      await shows("/metrics", /^budgie_fine 0$/m);
      await shows("/", says);
      expect((await shownBy(agent, "/healthz")).status).toBe(503);
      expect(JSON.stringify(await told("wrong"))).toMatch(says);

      await over();
      await shows("/metrics", /^budgie_fine 1$/m);
      expect((await shownBy(agent, "/healthz")).status).toBe(200);
      await told("right");
      expect((await status()).fine).toBe(true);
      expect(webhook.taken).toHaveLength(2);
    }, 300_000);
  });
}

async function statusOf(agent: TestAgent): Promise<{
  fine: boolean;
  lines: { id: LineId; level: string; problems: string[] }[];
}> {
  const { code, stdout, stderr } = await agent.run(["status", "--json"]);
  expect([EXIT.done, EXIT.notFine], stderr).toContain(code);
  return JSON.parse(stdout);
}

/**
 * The agent looks every minute, and at its start. A fault must last for some minutes before somebody is called: it has. That is
 * written while the agent does not run, which writes its own.
 */
async function lookAndCallAtOnce({ agent, records }: Watched): Promise<void> {
  await agent.container.stop({ t: 20 });
  const wrongSince = new Date(Date.now() - 600_000).toISOString();
  await writeFile(join(records, "alerts"), JSON.stringify({ told: [], wrongSince, deliveries: {} }));
  await agent.container.start();
}
