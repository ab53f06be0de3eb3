import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

type Script =
  | "network-members"
  | "database-ready"
  | "database-identity"
  | "backend-ready"
  | "local-store-bucket"
  | "store-lifecycle"
  | "prove-first-backup";

/**
 * A step of `pulumi up` that is a script of this folder. It runs when it is new and whenever its input has changed; others
 * wait for it with `dependsOn`. The input reaches the script on standard input and is kept encrypted in the state.
 *
 * @param again whether it runs this time although its input is the same. @default false
 */
export function step(
  name: string,
  script: Script,
  input: Record<string, pulumi.Input<unknown>>,
  opts: pulumi.CustomResourceOptions,
  again = false,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      // Relative, so that the state holds no path of this machine; Pulumi runs it in the project folder.
      create: `node --import tsx components/${script}.ts`,
      stdin: pulumi.secret(pulumi.jsonStringify(input)),
      addPreviousOutputInEnv: false,
      logging: command.local.Logging.None,
      ...(again ? { environment: { BUDGIE_AGAIN: new Date().toISOString() } } : {}),
    },
    pulumi.mergeOptions(opts, {
      additionalSecretOutputs: ["stdin"],
      // What made it run again once stays in the state and is no difference the next time.
      ignoreChanges: again ? [] : ["environment"],
    }),
  );
}
