// Pulumi's provider protocol, as far as the plugins that stand in here for official ones speak it. An executable made of
// it gets the engine's address as its first argument and prints its own port.
import * as grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages from "google-protobuf/google/protobuf/struct_pb.js";
import type { Call, Failure, Properties, Provider } from "./provider.ts";

type Struct = structMessages.Struct;
const fromWire = (struct: Struct | undefined) => (struct?.toJavaScript() ?? {}) as Properties;
const toWire = (properties: Properties) =>
  structMessages.Struct.fromJavaScript(
    properties as Parameters<typeof structMessages.Struct.fromJavaScript>[0],
  );

/** Runs the provider until its engine ends. */
export function serve(provider: Provider): void {
  const engine = connect(process.argv[2]);
  const cancellation = new AbortController();
  let running = 0;

  /** One method of the protocol. */
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

  /** `timeout` is in seconds, and 0 for none. */
  function about(urn: string, timeout = 0): Call {
    const parts = urn.split("::");
    const signals = [cancellation.signal, ...(timeout > 0 ? [AbortSignal.timeout(timeout * 1000)] : [])];
    return {
      type: parts.at(-2)?.split("$").at(-1) ?? "",
      name: parts.at(-1) ?? "",
      signal: AbortSignal.any(signals),
      log: line => log(engine, urn, line),
    };
  }

  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(providerService.ResourceProviderService as unknown as grpc.ServiceDefinition, {
    getPluginInfo: answer(() => {
      const info = new pluginMessages.PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),
    getSchema: answer(() => {
      const schema = new messages.GetSchemaResponse();
      schema.setSchema(JSON.stringify({ name: provider.name, version: provider.version }));
      return schema;
    }),
    checkConfig: answer((request: messages.CheckRequest) => {
      const response = new messages.CheckResponse();
      response.setInputs(request.getNews());
      response.setFailuresList(failures(provider.checkConfig?.(fromWire(request.getNews())) ?? []));
      return response;
    }),
    diffConfig: answer(() => new messages.DiffResponse()),
    configure: answer((request: messages.ConfigureRequest) => {
      const variables = request.getVariablesMap().toArray();
      provider.configure?.(
        Object.fromEntries(variables.map(([name, value]) => [name.split(":").at(-1) ?? "", value])),
      );
      const response = new messages.ConfigureResponse();
      response.setSupportspreview(true);
      // The engine then gives plain values, and marks each output secret whose input is.
      response.setAcceptsecrets(false);
      return response;
    }),
    check: answer((request: messages.CheckRequest) => {
      const [olds, news] = [fromWire(request.getOlds()), fromWire(request.getNews())];
      const checked = provider.check(about(request.getUrn()), olds, news, request.getRandomseed_asU8());
      const response = new messages.CheckResponse();
      response.setInputs(checked.inputs ? toWire(checked.inputs) : request.getNews());
      response.setFailuresList(failures(checked.failures));
      return response;
    }),
    diff: answer((request: messages.DiffRequest) => {
      const olds = fromWire(request.getOldInputs() ?? request.getOlds());
      const difference = provider.diff(about(request.getUrn()), olds, fromWire(request.getNews()));
      const response = new messages.DiffResponse();
      const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
      response.setChanges(difference.changed.length > 0 ? DIFF_SOME : DIFF_NONE);
      response.setDiffsList(difference.changed);
      response.setReplacesList(difference.replaces);
      response.setDeletebeforereplace(difference.deleteBeforeReplace ?? false);
      return response;
    }),
    create: answer(async (request: messages.CreateRequest) => {
      const call = about(request.getUrn(), request.getTimeout());
      const made = await provider.create(call, fromWire(request.getProperties()), request.getPreview());
      const response = new messages.CreateResponse();
      response.setId(made.id);
      response.setProperties(toWire(made.state));
      return response;
    }),
    read: answer(async (request: messages.ReadRequest) => {
      const response = new messages.ReadResponse();
      response.setId(request.getId());
      response.setProperties(request.getProperties());
      response.setInputs(request.getInputs());
      if (!provider.read) return response;
      const [inputs, state] = [fromWire(request.getInputs()), fromWire(request.getProperties())];
      const found = await provider.read(about(request.getUrn()), request.getId(), inputs, state);
      if (!found) return new messages.ReadResponse();
      response.setInputs(toWire(found.inputs));
      response.setProperties(toWire(found.state));
      return response;
    }),
    update: answer(async (request: messages.UpdateRequest) => {
      const call = about(request.getUrn(), request.getTimeout());
      const [olds, news] = [fromWire(request.getOlds()), fromWire(request.getNews())];
      const response = new messages.UpdateResponse();
      response.setProperties(
        toWire(await provider.update(call, request.getId(), olds, news, request.getPreview())),
      );
      return response;
    }),
    delete: answer(async (request: messages.DeleteRequest) => {
      const call = about(request.getUrn(), request.getTimeout());
      await provider.delete(call, request.getId(), fromWire(request.getProperties()));
      return new emptyMessages.Empty();
    }),
    invoke: answer(async (request: messages.InvokeRequest) => {
      const result = await provider.invoke(about(""), request.getTok(), fromWire(request.getArgs()));
      const response = new messages.InvokeResponse();
      if (Array.isArray(result)) response.setFailuresList(failures(result));
      else response.setReturn(toWire(result));
      return response;
    }),
    cancel: answer(() => {
      cancellation.abort("cancelled");
      return new emptyMessages.Empty();
    }),
  });

  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) {
      process.stderr.write(`pulumi-resource-${provider.name} could not listen: ${error.message}\n`);
      process.exit(1);
    }
    process.stdout.write(`${port}\n`);
  });
  endWithTheEngine(() => running === 0);
}

function failures(found: Failure[]): messages.CheckFailure[] {
  return found.map(({ property, reason }) => {
    const failure = new messages.CheckFailure();
    failure.setProperty(property);
    failure.setReason(`${property} ${reason}`);
    return failure;
  });
}

function log(engine: engineService.EngineClient | undefined, urn: string, line: string): void {
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
function endWithTheEngine(idle: () => boolean): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent && idle()) process.exit(0);
  }, 5_000).unref();
}
