import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMinio } from "../support/servers/minio.ts";
import { startMoto } from "../support/servers/moto.ts";
import { SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

interface Store {
  settings: Record<string, string>;
  secrets?: Record<string, string>;
  environment?: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

const bucketName = () => `budgie-test-${randomBytes(4).toString("hex")}`;

/** Each kind of store that a stack can have, as an operator configures it. */
const stores: Record<string, () => Promise<Store>> = {
  "a container of its own": async () => ({ settings: { objectStore: "local" }, stop: async () => {} }),
  AWS: async () => {
    const moto = await startMoto({ iam: true });
    return {
      settings: { objectStore: "aws", bucket: bucketName(), s3Endpoint: moto.endpoint },
      environment: {
        AWS_ACCESS_KEY_ID: moto.accessKeyId,
        AWS_SECRET_ACCESS_KEY: moto.secretAccessKey,
      },
      stop: moto.stop,
    };
  },
  "an S3 server of the operator's own": async () => {
    const minio = await startMinio();
    return {
      settings: {
        objectStore: "s3",
        bucket: bucketName(),
        s3Endpoint: minio.endpoint,
        objectStoreProfile: "minio",
      },
      secrets: { s3AccessKeyId: minio.accessKeyId, s3SecretAccessKey: minio.secretAccessKey },
      stop: minio.stop,
    };
  },
};

/** A second round takes a minute for each store, and would meet what only a first one leaves behind. */
const ROUNDS = SLOW ? [1, 2] : [1];

let stack: TestStack;
let store: Store;

const removeAll = async () => {
  await stack?.remove();
  await store?.stop();
};

const createStackWith = async (name: string) => {
  const start = stores[name];
  if (!start) throw new Error(`there is no store ${name}`);
  store = await start();
  stack = await createStack(store.settings, store.environment);
  for (const [setting, value] of Object.entries(store.secrets ?? {}))
    await stack.set(setting, value, { secret: true });
};

const budgie = async (...args: string[]) => {
  const result = await stack.budgie(args);
  expect(result.code, result.all).toBe(0);
  return result.stdout;
};

const remoteNames = async () =>
  (JSON.parse(await budgie("list", "--remote", "--json")) as { name: string; flaw: string | null }[])
    .map(({ name, flaw }) => (flaw ? `${name} (${flaw})` : name))
    .sort();

/** The tests of the AWS plugin have Amazon's answers; the stacks of many others have a store in a container of their own. */
const TRIED = Object.keys(stores).filter(name => SLOW || name.startsWith("an S3 server"));

describe.each(TRIED)("with %s for its backups", name => {
  afterAll(removeAll);

  it(`up, destroy, up, ${ROUNDS.length} times, is the same bucket with the same backups`, async () => {
    await createStackWith(name);
    await stack.up();
    await stack.requireNoChange();
    await budgie("backup");
    let before = await remoteNames();
    expect(before).toHaveLength(1);
    for (const _round of ROUNDS) {
      // The gate of `destroy` takes one more.
      await stack.destroy();
      await stack.up();
      await stack.requireNoChange();
      await budgie("push");
      const after = await remoteNames();
      expect(after).toEqual(expect.arrayContaining(before));
      expect(after.length).toBeGreaterThan(before.length);
      before = after;
    }
    await budgie("verify", "all", "--remote");
  });
});

describe("with a bucket at AWS", () => {
  beforeAll(async () => {
    await createStackWith("AWS");
    await stack.up();
  });
  afterAll(removeAll);

  it("a bucket that is another stack's is refused, and its owner named", async () => {
    const other = await createStack(store.settings, store.environment);
    try {
      const refused = await other.pulumi("up", "--yes", "--skip-preview");
      expect(refused.code).not.toBe(0);
      expect(refused.all).toContain(store.settings.bucket);
      expect(refused.all).toContain(stack.name);
      expect(refused.all).toContain("npm run pulumi -- config set budgie:bucket");
    } finally {
      await other.remove();
    }
  });

  it("from nothing but the bucket and its credentials the data comes back", async () => {
    await stack.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    await budgie("backup");

    await stack.loseEverything();
    await stack.up();
    expect(await stack.sql("SELECT to_regclass('kept') IS NULL")).toBe("t");
    // The state was lost too, and with it the key by which the stack recognises its own backups.
    const latest = await stack.budgie(["restore", "latest", "--from", "s3", "--yes"]);
    const [name = ""] = (JSON.parse(await budgie("list", "--remote", "--json")) as { name: string }[]).map(
      entry => entry.name,
    );
    expect(latest.all).toContain(`npx budgie restore ${name} --from s3`);
    await budgie("restore", name, "--from", "s3", "--yes");
    expect(await stack.sql("SELECT count(*) FROM kept")).toBe("1000");
    await budgie("backup");
    await budgie("status");
    await stack.requireNoChange();
  });
});
