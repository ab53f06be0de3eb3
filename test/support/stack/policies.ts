import {
  type PolicyResource,
  type PolicyResourceOptions,
  type ResourceValidationArgs,
  type ResourceValidationPolicy,
  type StackValidationPolicy,
  unknownCheckingProxy,
} from "@pulumi/policy";

/** Pulumi's placeholder for a value that only `pulumi up` will know. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

type Inputs = Record<string, unknown>;

/** What a policy says of one resource with these inputs. */
export function violations(
  policy: ResourceValidationPolicy,
  type: string,
  inputs: Inputs,
  options: Partial<PolicyResourceOptions> = {},
): string[] {
  const found: string[] = [];
  const checks = [policy.validateResource ?? []].flat();
  for (const check of checks) void check(asArguments(type, inputs, options), message => found.push(message));
  return found;
}

function asArguments(
  type: string,
  inputs: Inputs,
  options: Partial<PolicyResourceOptions>,
): ResourceValidationArgs {
  return {
    type,
    name: "example",
    urn: `urn:pulumi:dev::budgie::${type}::example`,
    props: unknownCheckingProxy(inputs),
    opts: { ...NO_OPTIONS, ...options },
    stackTags: new Map(),
    isType: () => notUsed("isType"),
    asType: () => notUsed("asType"),
    getConfig: () => notUsed("getConfig"),
    notApplicable: () => notUsed("notApplicable"),
  };
}

/** One resource of a stack, as `stackViolations` takes it. */
export interface StackResource {
  type: string;
  name: string;
  inputs: Inputs;
  /** The names of the resources that its input `bucket` comes from. */
  bucketFrom?: string[];
  /** The inputs of its provider. */
  provider?: Inputs;
}

/** What a policy says of a stack of these resources. */
export function stackViolations(policy: StackValidationPolicy, declared: StackResource[]): string[] {
  const resources = declared.map(asPolicyResource);
  for (const [index, { bucketFrom = [] }] of declared.entries()) {
    const resource = resources[index] as PolicyResource;
    resource.propertyDependencies = { bucket: resources.filter(({ name }) => bucketFrom.includes(name)) };
  }
  const found: string[] = [];
  const stack = {
    resources,
    stackTags: new Map<string, string>(),
    getConfig: () => notUsed("getConfig"),
    notApplicable: () => notUsed("notApplicable"),
  };
  void policy.validateStack(stack, message => found.push(message));
  return found;
}

function asPolicyResource({ type, name, inputs, provider }: StackResource): PolicyResource {
  const urn = `urn:pulumi:dev::budgie::${type}::${name}`;
  return {
    type,
    name,
    urn,
    props: unknownCheckingProxy(inputs),
    opts: NO_OPTIONS,
    dependencies: [],
    propertyDependencies: {},
    ...(provider ? { provider: { type: "pulumi:providers:aws", name: "aws", urn, props: provider } } : {}),
    isType: () => notUsed("isType"),
    asType: () => notUsed("asType"),
  };
}

const NO_OPTIONS: PolicyResourceOptions = {
  protect: false,
  ignoreChanges: [],
  aliases: [],
  additionalSecretOutputs: [],
  customTimeouts: { createSeconds: 0, updateSeconds: 0, deleteSeconds: 0 },
};

function notUsed(what: string): never {
  throw new Error(`A policy uses ${what}, which these tests do not have.`);
}
