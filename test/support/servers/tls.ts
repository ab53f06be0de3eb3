import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { query } from "../database/query.ts";
import { until } from "../until.ts";
import type { TestPostgres } from "./postgres.ts";

/** A key and a certificate that signs itself, for a server at an address. Both are files in `folder`. */
export async function makeCertificate(
  address: string,
  folder: string,
  name: string,
  hostName?: string,
): Promise<{ key: string; certificate: string }> {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  await execa("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`],
    ...[
      "-addext",
      `subjectAltName=IP:${address}${hostName ? `,DNS:${hostName}` : ""}`,
      "-keyout",
      key,
      "-out",
      certificate,
    ],
  ]);
  return { key, certificate };
}

/** From now on the server speaks TLS. Returns the certificate's path on this machine. */
export async function giveCertificate(
  postgres: TestPostgres,
  address: string,
  folder: string,
  hostName?: string,
): Promise<string> {
  const made = await makeCertificate(address, folder, "server", hostName);
  for (const [path, name] of [
    [made.certificate, "server.crt"],
    [made.key, "server.key"],
  ] as const) {
    const script = `cd "$PGDATA" && cat > ${name} && chown postgres ${name} && chmod 600 ${name}`;
    const { code, stderr } = await collectFromContainer(
      postgres.container,
      ["sh", "-c", script],
      await readFile(path),
    );
    if (code !== 0) throw new Error(stderr);
  }
  await query(postgres, "postgres", "ALTER SYSTEM SET ssl = on");
  await query(postgres, "postgres", "SELECT pg_reload_conf()");
  await until(
    "a server that speaks TLS",
    () => query(postgres, "postgres", "SHOW ssl"),
    ([row]) => row?.ssl === "on",
  );
  return made.certificate;
}
