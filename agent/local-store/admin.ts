import { createCipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { ObjectStore, StoreCredentials } from "../../object-store/client.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

const ANSWER_WITHIN_MS = 10_000;

/** The keys of one of the server's own users. They last until they are changed. */
export type UserKeys = Pick<StoreCredentials, "accessKeyId" | "secretAccessKey">;

/** MinIO's own API for its users and their policies. No maintained npm package speaks it. */
export interface StoreAdmin {
  /** Makes a user, or gives the one that is there this secret. */
  setUser(user: UserKeys): Promise<void>;
  setPolicy(name: string, policy: unknown): Promise<void>;
  /** The user has this policy from now on, and no other. */
  givePolicy(user: string, policy: string): Promise<void>;
  user(name: string): Promise<{ policyName?: string; status?: string }>;
  policy(name: string): Promise<unknown>;
}

/** For a store's client with the root's keys. The methods throw a Stop. */
export function storeAdmin({ client }: ObjectStore, endpoint: string, root: UserKeys): StoreAdmin {
  const signer = new SignatureV4({
    service: "s3",
    region: client.config.region,
    credentials: root,
    sha256: client.config.sha256,
  });
  const ask = async (method: string, path: string, query: Record<string, string>, body?: Buffer) => {
    const url = new URL(`/minio/admin/v3/${path}`, endpoint);
    const { headers } = await signer.sign({
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      ...(url.port ? { port: Number(url.port) } : {}),
      path: url.pathname,
      query,
      headers: { host: url.host },
      ...(body ? { body } : {}),
    });
    url.search = new URLSearchParams(query).toString();
    return answered(path, fetch(url, { method, headers, body: body ?? null, signal: deadline() }));
  };
  return {
    setUser: async ({ accessKeyId, secretAccessKey }) => {
      const request = JSON.stringify({ secretKey: secretAccessKey, status: "enabled" });
      await ask("PUT", "add-user", { accessKey: accessKeyId }, encrypted(root.secretAccessKey, request));
    },
    setPolicy: async (name, policy) => {
      await ask("PUT", "add-canned-policy", { name }, Buffer.from(JSON.stringify(policy)));
    },
    givePolicy: async (user, policy) => {
      await ask("PUT", "set-user-or-group-policy", {
        policyName: policy,
        userOrGroup: user,
        isGroup: "false",
      });
    },
    user: async name => JSON.parse(await ask("GET", "user-info", { accessKey: name })),
    policy: async name => JSON.parse(await ask("GET", "info-canned-policy", { name })),
  };
}

/**
 * What MinIO's admin API takes a secret in (madmin-go, `EncryptData`; sio-go, one fragment): 32 bytes of salt, the
 * algorithm's number, 8 bytes of nonce, and the sealed text. Nonces end in a count, little-endian: 0 seals nothing and
 * gives the additional data, 1 seals the last fragment, which the byte 0x80 before that data marks.
 * @param text at most 16 KiB, a fragment's size
 */
export function encrypted(
  password: string,
  text: string,
  salt: Buffer = randomBytes(32),
  nonce: Buffer = randomBytes(8),
): Buffer {
  const key = pbkdf2Sync(password, salt, 8192, 32, "sha256");
  const seal = (count: number, plain: Buffer, additional: Buffer) => {
    const cipher = createCipheriv("aes-256-gcm", key, Buffer.concat([nonce, Buffer.from([count, 0, 0, 0])]));
    cipher.setAAD(additional);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };
  const tag = seal(0, Buffer.alloc(0), Buffer.alloc(0));
  const sealed = seal(1, Buffer.from(text), Buffer.concat([Buffer.from([0x80]), tag]));
  return Buffer.concat([salt, Buffer.from([PBKDF2_AES_256_GCM]), nonce, sealed]);
}

const PBKDF2_AES_256_GCM = 2;

function deadline(): AbortSignal {
  return AbortSignal.timeout(ANSWER_WITHIN_MS);
}

async function answered(path: string, request: Promise<Response>): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await request;
    text = await response.text();
  } catch (error) {
    throw new Stop(
      EXIT.storeUnreachable,
      `The object store's container does not answer (${path}): ${(error as Error).message}.`,
      "See why: docker logs of the container whose name ends in -object-store; then `npm run pulumi -- up`.",
    );
  }
  if (response.ok) return text;
  const { Code: code = response.status } = parsed(text) as { Code?: string };
  throw new Stop(
    EXIT.storeRefused,
    `The object store's container refuses ${path} (${code}): it is not of the MinIO line, or not of a version that this stack knows.`,
    "Choose another image: npm run pulumi -- config set budgie:objectStoreImage pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
  );
}

function parsed(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
