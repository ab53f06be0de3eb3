import type { ReportViolation, ResourceValidation, ResourceValidationArgs } from "@pulumi/policy";
import type { Unwrap } from "@pulumi/pulumi";

export const CONTAINER = "docker:index/container:Container";
export const IMAGE = "docker:index/remoteImage:RemoteImage";
export const VOLUME = "docker:index/volume:Volume";

/** A check of each resource of one type. The type is a name: importing its package would slow down every preview. */
export function ofType<Args>(
  type: string,
  check: (inputs: Unwrap<Args>, resource: ResourceValidationArgs, report: ReportViolation) => void,
): ResourceValidation {
  return (resource, report) => {
    if (resource.type === type) check(resource.props as Unwrap<Args>, resource, report);
  };
}
