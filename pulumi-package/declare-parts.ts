import * as pulumi from "@pulumi/pulumi";
import { within } from "../components/containers/within.ts";
import { prepare } from "../components/prepare/prepare.ts";
import { type Declared, declareStack } from "../components/whole/declare-stack.ts";
import { Refusal } from "../settings/refusal.ts";
import type { PostgresWithBackupsArgs } from "./args.ts";
import { claimPrefix } from "./claimed-prefixes.ts";
import { inTheirWords } from "./in-their-words.ts";
import { settingsOf } from "./settings-of.ts";

/** What a program may use of the component. */
export interface Parts {
  host: pulumi.Output<string>;
  port: number;
  databaseName: string;
  user: string;
  password: pulumi.Output<string>;
  connectionUri: pulumi.Output<string>;
  networkName: pulumi.Output<string>;
  volumeName: pulumi.Output<string>;
  backupDirectory: string;
  firstBackup: pulumi.Output<string> | string;
  url: string;
  bucketReaderId: pulumi.Input<string>;
  bucketReaderSecret: pulumi.Input<string>;
}

/** Looks at the machine and refuses what would lose data, as the whole stack does, and then declares what the arguments ask for. */
export async function declareParts(
  component: pulumi.Resource,
  name: string,
  args: PostgresWithBackupsArgs,
): Promise<Parts> {
  try {
    const settings = await settingsOf(name, args);
    claimPrefix(settings.namePrefix, name);
    const inside = within(component, name);
    const prepared = await prepare(settings, inside);
    return partsOf(await declareStack(prepared, inside), prepared.backupPlace.source);
  } catch (error) {
    throw new Refusal(inTheirWords((error as Error).message, name));
  }
}

function partsOf({ db, agent, network, backend, bucket, first }: Declared, backupDirectory: string): Parts {
  const { connection } = db;
  const { port, name, user, password } = connection;
  // Who is given the address has waited for the database to answer, and to be the one that the backups came from.
  const ready = [
    (connection.ready as pulumi.CustomResource).id,
    (agent.databaseIdentity as pulumi.CustomResource).id,
  ];
  const host = pulumi.all([connection.host, ...ready]).apply(([host]) => host as string);
  const login = password.apply(password => `${user}:${encodeURIComponent(password)}`);
  return {
    host,
    port,
    databaseName: name,
    user,
    password,
    connectionUri: pulumi.interpolate`postgresql://${login}@${host}:${port}/${name}`,
    networkName: network.name,
    volumeName: db.dataIn,
    backupDirectory,
    firstBackup: first?.proven ?? "",
    url: backend?.url ?? "",
    bucketReaderId: bucket?.reader.accessKeyId ?? "",
    bucketReaderSecret: bucket?.reader.secretAccessKey ?? "",
  };
}
