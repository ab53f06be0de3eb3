import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

const LABEL = "budgie.ignored-inputs";

/**
 * Gives a container a label with the inputs that Pulumi is told to ignore, because the engine reads them back otherwise than
 * they were written. A label is never read back, so it shows no difference of the engine's making; but when the program
 * changes one of those inputs, the label changes with it and the container is replaced, as it would be without the ignoring.
 * What stays hidden is a change made outside of Pulumi, which no engine can make to a container that exists.
 */
export function labelledWith(ignored: readonly string[]): pulumi.ResourceTransformation {
  return ({ props, opts }) => {
    const { labels = [] } = props as Partial<docker.ContainerArgs>;
    const value = JSON.stringify(Object.fromEntries(ignored.map(name => [name, props[name]])));
    return { props: { ...props, labels: [...(labels as object[]), { label: LABEL, value }] }, opts };
  };
}
