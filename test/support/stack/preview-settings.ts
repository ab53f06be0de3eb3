// Runs index.ts as a preview, once for each configuration (a JSON text per line of standard input), against Pulumi's mocks: no
// CLI, no engine, no credentials. Writes one outcome per line, as JSON.
import { createInterface } from "node:readline";
import * as pulumi from "@pulumi/pulumi";
import { Refusal } from "../../../settings/refusal.ts";
import type { Outcome, ProgramConfiguration } from "./preview-many.ts";

let crashed: unknown = null;
process.on("unhandledRejection", reason => {
  crashed = reason;
});
// Standard output is for the outcomes.
console.log = console.error;

let runs = 0;
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await preview(JSON.parse(line) as ProgramConfiguration))}\n`);
}
process.exit(0);

async function preview({ stack, values, secretNames }: ProgramConfiguration): Promise<Outcome> {
  let resources = 0;
  crashed = null;
  await pulumi.runtime.setMocks(
    {
      newResource: ({ name, inputs }) => {
        resources++;
        const made = { stdout: "generated", imageId: `sha256:${name}`, output: inputs.input };
        return { id: `${name}-id`, state: { ...inputs, ...made } };
      },
      // The state of a stack that was never brought up has no resources.
      call: () => ({ outputs: {} }),
    },
    "budgie",
    stack,
    true,
    "organization",
  );
  process.env.PULUMI_CONFIG_SECRET_KEYS = JSON.stringify(secretNames);
  pulumi.runtime.setAllConfig({ ...values }, secretNames);
  try {
    // A new URL each time makes the program run again, while its imports stay loaded.
    await import(`../../../index.ts?run=${runs++}`);
    await pulumi.runtime.disconnect();
  } catch (error) {
    await pulumi.runtime.disconnect().catch(() => undefined);
    if (error instanceof Refusal) return { refusal: error.message };
    crashed = error;
  }
  return crashed === null ? { resources } : { crash: String((crashed as Error).stack ?? crashed) };
}
