import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { programPlace } from "./program-place.ts";

type Script =
  | "network-members"
  | "database-ready"
  | "database-identity"
  | "backend-ready"
  | "backends-network"
  | "backends-ready"
  | "local-store-bucket"
  | "store-lifecycle"
  | "store-ready"
  | "prove-first-backup"
  | "replicas-ready";

interface StepOptions extends pulumi.CustomResourceOptions {
  /** Whether it runs this time although its input is the same. @default false */
  again?: boolean;
  /** The script that runs, with the same input, before it is removed. @default none */
  undone?: "leave-backends-network";
}

/**
 * A step of `pulumi up` that is a script of this folder. It runs when it is new and whenever its input has changed; others
 * wait for it with `dependsOn`. The input reaches the script on standard input and is kept encrypted in the state.
 */
export function step(
  name: string,
  script: Script,
  input: Record<string, pulumi.Input<unknown>>,
  { again = false, undone, ...opts }: StepOptions,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      create: `node components/run.mjs ${script}`,
      ...(undone ? { delete: `node components/run.mjs ${undone}` } : {}),
      ...programPlace,
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
