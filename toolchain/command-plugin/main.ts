// The executable pulumi-resource-command: Pulumi's provider protocol around local-command.ts. Its first argument is the
// engine's address; it prints its own port.
import * as grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages from "google-protobuf/google/protobuf/struct_pb.js";
import {
  check,
  commandInputs,
  create,
  diff,
  invokeRun,
  type Properties,
  remove,
  runArguments,
  update,
} from "./local-command.ts";
import type { Surroundings } from "./script.ts";

const TYPE = "command:local:Command";
const RUN = "command:local:run";

const version = typeof PLUGIN_VERSION === "string" ? PLUGIN_VERSION : "1.2.1";
const engine = connect(process.argv[2]);
const cancellation = new AbortController();
let running = 0;

type Struct = structMessages.Struct;
const fromWire = (struct: Struct | undefined) => (struct?.toJavaScript() ?? {}) as Properties;
const toWire = (properties: Properties) =>
  structMessages.Struct.fromJavaScript(
    properties as Parameters<typeof structMessages.Struct.fromJavaScript>[0],
  );

/** One method: what it throws becomes the engine's error message. */
function answer<Request, Response>(work: (request: Request) => Promise<Response> | Response) {
  return async (call: grpc.ServerUnaryCall<Request, Response>, done: grpc.sendUnaryData<Response>) => {
    running += 1;
    try {
      done(null, await work(call.request));
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error);
      done({ code: grpc.status.UNKNOWN, details }, null);
    } finally {
      running -= 1;
    }
  };
}

const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
server.addService(providerService.ResourceProviderService as unknown as grpc.ServiceDefinition, {
  getPluginInfo: answer(() => {
    const info = new pluginMessages.PluginInfo();
    info.setVersion(version);
    return info;
  }),
  getSchema: answer(() => {
    const schema = new messages.GetSchemaResponse();
    schema.setSchema(JSON.stringify({ name: "command", version }));
    return schema;
  }),
  checkConfig: answer((request: messages.CheckRequest) => {
    const response = new messages.CheckResponse();
    response.setInputs(request.getNews());
    return response;
  }),
  diffConfig: answer(() => new messages.DiffResponse()),
  configure: answer(() => {
    const response = new messages.ConfigureResponse();
    response.setSupportspreview(true);
    // The engine then gives plain values, and marks each output secret whose input is.
    response.setAcceptsecrets(false);
    return response;
  }),
  check: answer((request: messages.CheckRequest) => {
    requireLocalCommand(request.getUrn());
    const response = new messages.CheckResponse();
    response.setInputs(request.getNews());
    response.setFailuresList(failures(check(fromWire(request.getNews()), commandInputs)));
    return response;
  }),
  diff: answer((request: messages.DiffRequest) => {
    const olds = request.getOldInputs() ?? request.getOlds();
    const { changed, replaces } = diff(fromWire(olds), fromWire(request.getNews()));
    const response = new messages.DiffResponse();
    const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
    response.setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE);
    response.setDiffsList(changed);
    response.setReplacesList(replaces);
    return response;
  }),
  create: answer(async (request: messages.CreateRequest) => {
    const urn = request.getUrn();
    const around = surroundings(urn, request.getTimeout());
    const name = urn.split("::").at(-1) ?? "command";
    const made = await create(name, fromWire(request.getProperties()), request.getPreview(), around);
    const response = new messages.CreateResponse();
    response.setId(made.id);
    response.setProperties(toWire(made.state));
    return response;
  }),
  update: answer(async (request: messages.UpdateRequest) => {
    const around = surroundings(request.getUrn(), request.getTimeout());
    const [olds, news] = [fromWire(request.getOlds()), fromWire(request.getNews())];
    const response = new messages.UpdateResponse();
    response.setProperties(toWire(await update(olds, news, request.getPreview(), around)));
    return response;
  }),
  delete: answer(async (request: messages.DeleteRequest) => {
    await remove(fromWire(request.getProperties()), surroundings(request.getUrn(), request.getTimeout()));
    return new emptyMessages.Empty();
  }),
  read: answer((request: messages.ReadRequest) => {
    const response = new messages.ReadResponse();
    response.setId(request.getId());
    response.setProperties(request.getProperties());
    response.setInputs(request.getInputs());
    return response;
  }),
  invoke: answer(async (request: messages.InvokeRequest) => {
    if (request.getTok() !== RUN) throw new Error(missing(request.getTok()));
    const args = fromWire(request.getArgs());
    const response = new messages.InvokeResponse();
    const problems = failures(check(args, runArguments));
    response.setFailuresList(problems);
    if (problems.length === 0) response.setReturn(toWire(await invokeRun(args, surroundings("", 0))));
    return response;
  }),
  cancel: answer(() => {
    cancellation.abort("cancelled");
    return new emptyMessages.Empty();
  }),
});

server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    process.stderr.write(`pulumi-resource-command could not listen: ${error.message}\n`);
    process.exit(1);
  }
  process.stdout.write(`${port}\n`);
});
endWithTheEngine();

function failures(found: { property: string; reason: string }[]): messages.CheckFailure[] {
  return found.map(({ property, reason }) => {
    const failure = new messages.CheckFailure();
    failure.setProperty(property);
    failure.setReason(`${property} ${reason}`);
    return failure;
  });
}

function requireLocalCommand(urn: string): void {
  const type = urn.split("::").at(-2)?.split("$").at(-1) ?? "";
  if (type !== TYPE) throw new Error(missing(type));
}

function missing(what: string): string {
  return `${what} is not in the Command plugin's stand-in, which has ${TYPE} and ${RUN}; the official plugin is needed for it`;
}

/** `timeout` is in seconds, and 0 for none. */
function surroundings(urn: string, timeout: number): Surroundings {
  const signals = [cancellation.signal, ...(timeout > 0 ? [AbortSignal.timeout(timeout * 1000)] : [])];
  return { signal: AbortSignal.any(signals), log: (_stream, line) => log(urn, line) };
}

function log(urn: string, line: string): void {
  const request = new engineMessages.LogRequest();
  request.setSeverity(engineMessages.LogSeverity.INFO);
  request.setMessage(line);
  request.setUrn(urn);
  request.setEphemeral(true);
  engine?.log(request, () => {});
}

function connect(address: string | undefined): engineService.EngineClient | undefined {
  return address ? new engineService.EngineClient(address, grpc.credentials.createInsecure()) : undefined;
}

/** An engine that was killed cannot say goodbye. What still runs is let finish. */
function endWithTheEngine(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent && running === 0) process.exit(0);
  }, 5_000).unref();
}

declare const PLUGIN_VERSION: string | undefined;
