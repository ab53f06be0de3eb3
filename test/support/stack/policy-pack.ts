import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { credentials } from "@grpc/grpc-js";
import { AnalyzerClient } from "@pulumi/pulumi/proto/analyzer_grpc_pb.js";
import {
  AnalyzeRequest,
  type AnalyzeResponse,
  AnalyzerPropertyDependencies,
  AnalyzerProviderResource,
  AnalyzerResource,
  AnalyzerResourceOptions,
  AnalyzeStackRequest,
  EnforcementLevel,
} from "@pulumi/pulumi/proto/analyzer_pb.js";
import type { Registered } from "./mocks.ts";

export interface Violation {
  policy: string;
  mandatory: boolean;
  message: string;
}

export interface ServedPolicyPack {
  /** What the pack says of each resource, and of all of them together. */
  violations(resources: readonly Registered[]): Promise<Violation[]>;
  stop(): Promise<void>;
}

const folder = resolve("policy");

/** The two ways in which the Pulumi CLI starts a pack: through the Node language host, and as a program. */
const WAYS = {
  "by its folder": {
    cwd: folder,
    args: [resolve("node_modules/@pulumi/pulumi/cmd/run-policy-pack"), "127.0.0.1:0", folder],
  },
  "by its program": { cwd: resolve("."), args: [resolve(folder, "start.cjs"), "127.0.0.1:0"] },
} as const;

/** Starts the policy pack as the CLI does, and asks it as the engine does. */
export async function servePolicyPack(way: keyof typeof WAYS): Promise<ServedPolicyPack> {
  const { args, cwd } = WAYS[way];
  const pack = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const client = new AnalyzerClient(`127.0.0.1:${await firstLine(pack)}`, credentials.createInsecure());
  const analyze = promisify<AnalyzeRequest, AnalyzeResponse>(client.analyze.bind(client));
  const analyzeStack = promisify<AnalyzeStackRequest, AnalyzeResponse>(client.analyzeStack.bind(client));
  return {
    violations: async resources => {
      const declared = describe(resources);
      const requests = declared.map(asRequest);
      const stack = new AnalyzeStackRequest().setResourcesList(declared);
      const answers = [...(await Promise.all(requests.map(r => analyze(r)))), await analyzeStack(stack)];
      return answers
        .flatMap(answer => answer.getDiagnosticsList())
        .map(found => ({
          policy: found.getPolicyname(),
          mandatory: found.getEnforcementlevel() === EnforcementLevel.MANDATORY,
          message: found.getMessage(),
        }));
    },
    stop: async () => {
      client.close();
      pack.kill();
      if (pack.exitCode === null && pack.signalCode === null) await once(pack, "exit");
    },
  };
}

/** The port. The CLI takes the first line for it, whatever that says. */
async function firstLine(pack: ChildProcess): Promise<string> {
  const { stdout, stderr } = pack;
  if (!stdout || !stderr) throw new Error("no pipes");
  const errors: string[] = [];
  stderr.on("data", data => errors.push(String(data)));
  for await (const line of createInterface(stdout)) return line;
  throw new Error(`The policy pack ended without a port:\n${errors.join("")}`);
}

function describe(resources: readonly Registered[]): AnalyzerResource[] {
  const byUrn = new Map(resources.map(resource => [urnOf(resource), resource]));
  return resources.map(resource => {
    const { request, type, name } = resource;
    const described = new AnalyzerResource()
      .setUrn(urnOf(resource))
      .setType(type)
      .setName(name)
      .setParent(request.getParent())
      .setDependenciesList(request.getDependenciesList())
      .setProperties(request.getObject())
      .setOptions(
        new AnalyzerResourceOptions()
          .setProtect(request.getProtect() ?? false)
          .setIgnorechangesList(request.getIgnorechangesList()),
      );
    request.getPropertydependenciesMap().forEach((from, property) => {
      const urns = new AnalyzerPropertyDependencies().setUrnsList(from.getUrnsList());
      described.getPropertydependenciesMap().set(property, urns);
    });
    const provider = byUrn.get(request.getProvider().replace(/::[^:]*$/, ""));
    if (provider) {
      described.setProvider(
        new AnalyzerProviderResource()
          .setUrn(urnOf(provider))
          .setType(provider.type)
          .setName(provider.name)
          .setProperties(provider.request.getObject()),
      );
    }
    return described;
  });
}

/** As Pulumi's mocks form it. */
function urnOf({ request, type, name }: Registered): string {
  const parentType = request.getParent().split("::")[2]?.split("$").at(-1);
  return `urn:pulumi:dev::budgie::${parentType ? `${parentType}$` : ""}${type}::${name}`;
}

function asRequest(resource: AnalyzerResource): AnalyzeRequest {
  return new AnalyzeRequest()
    .setUrn(resource.getUrn())
    .setType(resource.getType())
    .setName(resource.getName())
    .setProperties(resource.getProperties())
    .setOptions(resource.getOptions())
    .setProvider(resource.getProvider());
}
