import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { COMMANDS_RUN_HERE } from "../../shared/project-folder.ts";
import { programPlace } from "../steps/program-place.ts";

/** 32 random bytes, 43 characters that need no quoting anywhere. */
const GENERATE = `node -p "require('node:crypto').randomBytes(32).toString('base64url')"`;

/** A secret that is generated once, when the stack is first brought up, and kept encrypted in the state. */
export function generatedSecret(name: string, opts: pulumi.CustomResourceOptions): pulumi.Output<string> {
  return secretFrom(name, { create: GENERATE }, opts);
}

/** The key that the stack signs its backups' manifests with. Like them it outlives `pulumi destroy`. */
export function manifestKey(
  name: string,
  stack: string,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const create = "node --import tsx components/manifest-key.ts";
  // The folder of a package is removed with its version, so a key in it would be lost.
  const kept: Record<string, string> = COMMANDS_RUN_HERE ? {} : { BUDGIE_KEYS_AT_HOME: "true" };
  const environment = { BUDGIE_STACK: stack, ...kept };
  return secretFrom(name, { create, ...programPlace, environment }, opts);
}

function secretFrom(
  name: string,
  made: command.local.CommandArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const generated = new command.local.Command(
    name,
    { ...made, logging: command.local.Logging.None, addPreviousOutputInEnv: false },
    pulumi.mergeOptions(opts, {
      additionalSecretOutputs: ["stdout"],
      // Any change of its inputs would run it again, and the secret would be another one.
      ignoreChanges: ["create", "dir", "environment", "logging", "addPreviousOutputInEnv"],
    }),
  );
  return pulumi.secret(generated.stdout);
}
