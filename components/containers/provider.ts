import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { Engine } from "../../engine/find-engine.ts";
import { SSH_OPTIONS } from "../../engine/ssh-connections.ts";

/** What makes things on an engine. The provider would follow DOCKER_CONTEXT past the engine that was found. */
export function engineProvider(
  name: string,
  { host }: Pick<Engine, "host">,
  opts: pulumi.ResourceOptions,
): docker.Provider {
  return new docker.Provider(
    name,
    { host, context: "", ...(host.startsWith("ssh://") ? { sshOpts: SSH_OPTIONS } : {}) },
    opts,
  );
}
