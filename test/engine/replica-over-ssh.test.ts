// A replica on a machine whose engine is reached over ssh, and the stack there after a failover.
import { afterAll, beforeAll, expect } from "vitest";
import { toolchainEnvironment } from "../../toolchain/machine/environment.ts";
import { psqlIn } from "../support/database/psql-in.ts";
import { sshClient, type TestSshClient } from "../support/servers/ssh-client.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createOnTwoMachines, type TwoMachines } from "../support/stack/two-machines.ts";

const PATH = process.env.PATH;

let sshd: TestSshd;
let client: TestSshClient;
let both: TwoMachines;

const overSsh = () => `ssh://${sshd.user}@${sshd.host}:${sshd.port}`;

beforeAll(async () => {
  if (!SLOW) return;
  both = await createOnTwoMachines(async ({ here }) => {
    sshd = await startSshd({ shell: true, address: here });
    client = await sshClient(sshd);
    await client.trust(sshd.hostKey);
    process.env.PATH = client.pathBefore(PATH);
    return {
      settings: { replicaHosts: overSsh() },
      environment: { PATH: client.pathBefore((await toolchainEnvironment()).PATH) },
    };
  });
});
afterAll(async () => {
  await both?.remove();
  process.env.PATH = PATH;
  await Promise.all([sshd?.stop(), client?.stop()]);
});

itSlowly("follows, becomes the database with every row, and is the stack's engine from then on", async () => {
  const { stack, here, failover } = both;
  const { rows, more, stop } = await both.startWriting();
  await more(300);
  stop();
  const moved = await failover("--while-it-serves");
  expect(moved.code, moved.all).toBe(0);
  const there = await psqlIn(here, `${stack.prefix}-db`, "SELECT count(*) FROM written");
  expect(Number(there)).toBeGreaterThanOrEqual(rows.length);
  for (const command of ["backup", "status"]) {
    const done = await stack.budgie([command], { environment: { DOCKER_HOST: overSsh() } });
    expect(done.code, done.all).toBe(0);
  }

  const rejoined = await both.rejoin();
  expect(rejoined.code, rejoined.all).toBe(0);
});
