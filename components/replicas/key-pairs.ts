import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { REPLICA_ROLE } from "../../shared/replica-name.ts";
import { programPlace } from "../steps/program-place.ts";
import type { KeyPair } from "./certificate.ts";

/** What a machine needs to speak with the others: who vouches for them, and its own certificate and key. All in PEM. */
export interface Credentials {
  authority: pulumi.Output<string>;
  certificate: pulumi.Output<string>;
  key: pulumi.Output<string>;
}

/** The stack's authority, made once and kept encrypted in the state. */
export function replicationAuthority(
  name: string,
  under: { parent?: pulumi.Resource },
): pulumi.Output<KeyPair> {
  return keyPair(name, {}, under);
}

/** For the machine that the others reach at this address. It is made anew when the address or the authority is another one. */
export function machineCredentials(
  name: string,
  authority: pulumi.Output<KeyPair>,
  address: string,
  under: { parent?: pulumi.Resource },
): Credentials {
  const made = keyPair(name, { authority, role: REPLICA_ROLE, address }, under);
  return {
    authority: authority.apply(({ certificate }) => certificate),
    certificate: made.apply(({ certificate }) => certificate),
    key: made.apply(({ key }) => key),
  };
}

function keyPair(
  name: string,
  input: Record<string, pulumi.Input<unknown>>,
  under: { parent?: pulumi.Resource },
): pulumi.Output<KeyPair> {
  const made = new command.local.Command(
    name,
    {
      create: "node components/run.mjs replication-certificate",
      ...programPlace,
      stdin: pulumi.secret(pulumi.jsonStringify(input)),
      logging: command.local.Logging.None,
      addPreviousOutputInEnv: false,
    },
    {
      ...under,
      additionalSecretOutputs: ["stdin", "stdout"],
      // A change of these would make another key for no reason.
      ignoreChanges: ["create", "dir", "logging", "addPreviousOutputInEnv"],
    },
  );
  return pulumi.secret(made.stdout.apply(readKeyPair));
}

/** A preview does not make it, and a test has no command that does. */
function readKeyPair(json: string): KeyPair {
  try {
    return JSON.parse(json) as KeyPair;
  } catch {
    throw new Error(
      "The certificate for the replicas could not be read. Have it made anew: npm run pulumi -- up",
    );
  }
}
