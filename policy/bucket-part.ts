import type { PolicyResource, Severity, StackValidationPolicy } from "@pulumi/policy";
import type { Unwrap } from "@pulumi/pulumi";
import { ifKnown } from "./unknown-values.ts";

export const BUCKET = "aws:s3/bucket:Bucket";

interface Part<Args> {
  name: string;
  description: string;
  severity: Severity;
  /** The resource that says it. */
  type: string;
  holds(inputs: Unwrap<Args>): boolean;
  why: string;
  fix: string;
}

/**
 * A policy that every bucket has a resource of that type beside it, and that something holds of it. A store that is not
 * Amazon's may lack the feature. There the resource may be missing, of which the preview warns; but where it is there,
 * the same must hold.
 */
export function besideEachBucket<Args>(part: Part<Args>): StackValidationPolicy {
  const { name, description, severity, type } = part;
  return {
    name,
    description,
    severity,
    validateStack: ({ resources }, report) => {
      for (const bucket of resources.filter(resource => resource.type === BUCKET)) {
        const beside = resources.filter(resource => resource.type === type && isOf(bucket, resource));
        const missing = beside.length === 0 && isAmazons(bucket);
        const wrong = beside.some(resource => !part.holds(resource.props as Unwrap<Args>));
        if (!missing && !wrong) continue;
        const what = missing ? `has no ${type.split(":").at(-1)}` : "is set up otherwise";
        report(`The bucket ${bucket.name} ${what}: ${part.why}. Type: ${part.fix}`, bucket.urn);
      }
    },
  };
}

/** By what the resource was declared from, or, where that was a plain name, by the name. */
function isOf(bucket: PolicyResource, resource: PolicyResource): boolean {
  const from = resource.propertyDependencies.bucket ?? [];
  if (from.some(({ urn }) => urn === bucket.urn)) return true;
  const name = ifKnown(() => resource.props.bucket as unknown);
  return name !== undefined && name === ifKnown(() => bucket.props.bucket as unknown);
}

/** Amazon itself has no endpoint set, or one of its own names: a VPC endpoint. */
function isAmazons({ provider }: PolicyResource): boolean {
  const endpoints = ifKnown(() => JSON.stringify(provider?.props.endpoints ?? ""));
  const hosts = [...(endpoints ?? "").matchAll(/https?:\/\/([^/"\\:]+)/g)].map(([, host]) => host ?? "");
  return hosts.every(host => host.endsWith(".amazonaws.com"));
}
