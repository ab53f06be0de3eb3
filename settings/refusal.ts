import { inspect } from "node:util";
import * as pulumi from "@pulumi/pulumi";

/** Ends the program with a message for the operator; Pulumi shows it without a stack trace. */
export class Refusal extends pulumi.RunError {
  /** Pulumi hangs the program's promise on the error and prints the whole for its trace: 20 seconds for what is never shown. */
  [inspect.custom](): string {
    return this.message;
  }
}
