import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { LABEL } from "../../shared/labels.ts";

/**
 * Gives a container a label with the inputs that Pulumi is told to ignore, because the engine reads them back changed. A
 * label is read back as it was written, so it shows no difference of the engine's making. When the program changes one of
 * those inputs, the label changes with it, and the container is replaced all the same. A change made outside of Pulumi
 * stays hidden; but no engine can change these inputs of a container that exists.
 */
export function labelledWith(ignored: readonly string[]): pulumi.ResourceTransformation {
  return ({ props, opts }) => {
    const { labels = [] } = props as Partial<docker.ContainerArgs>;
    const value = JSON.stringify(Object.fromEntries(ignored.map(name => [name, props[name]])));
    return {
      props: { ...props, labels: [...(labels as object[]), { label: LABEL.ignoredInputs, value }] },
      opts,
    };
  };
}
