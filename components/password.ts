import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

/** 32 random bytes, 43 characters that need no quoting anywhere. */
const GENERATE = `node -p "require('node:crypto').randomBytes(32).toString('base64url')"`;

/** A secret that is generated once, when the stack is first brought up, and kept encrypted in the state. */
export function generatedSecret(name: string, opts: pulumi.CustomResourceOptions): pulumi.Output<string> {
  const generated = new command.local.Command(
    name,
    { create: GENERATE, logging: command.local.Logging.None, addPreviousOutputInEnv: false },
    pulumi.mergeOptions(opts, {
      additionalSecretOutputs: ["stdout"],
      // Any change of its inputs would run it again, and the secret would be another one.
      ignoreChanges: ["create", "logging", "addPreviousOutputInEnv"],
    }),
  );
  return pulumi.secret(generated.stdout);
}
