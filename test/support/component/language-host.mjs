// node language-host.mjs HOST ...ARGUMENTS: Pulumi's language host HOST, and what the engine asks of newer ones than the Go module proxy
// has. The Node.js one runs no packages from source there, and writes and links no SDK; that of YAML says nothing of linking, of which
// it has nothing to do.
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as grpc from "@grpc/grpc-js";
import hosts from "@pulumi/pulumi/proto/language_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/language_pb.js";

const SIZE = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
const [host, ...args] = process.argv.slice(2);
const child = spawn(host, args, { stdio: ["ignore", "pipe", "inherit"] });
child.on("exit", code => process.exit(code ?? 1));
process.on("exit", () => child.kill());
const port = await new Promise(found => createInterface(child.stdout).once("line", found));

const client = new hosts.LanguageRuntimeClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), SIZE);

const forwarded = ([name, method]) => [
  name,
  method.responseStream
    ? call => {
        const answers = client[name](call.request);
        answers.on("data", data => call.write(data));
        answers.on("error", error => call.emit("error", error));
        answers.on("end", () => call.end());
      }
    : (call, done) => client[name](call.request, done),
];

/** As the official host runs a plugin: with the program that is in the SDK of the plugin's own project. */
function runPlugin(call) {
  const { request } = call;
  const folder = request.getInfo().getProgramDirectory();
  const program = createRequire(`${folder}/package.json`).resolve("@pulumi/pulumi/cmd/run-plugin/index.js");
  const variables = request.getEnvList().map(line => line.split(/=(.*)/s).slice(0, 2));
  const plugin = spawn(process.execPath, [program, folder, ...request.getArgsList()], {
    cwd: request.getPwd(),
    env: Object.fromEntries(variables),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const answer = (set, value) => {
    const response = new messages.RunPluginResponse();
    response[set](value);
    call.write(response);
  };
  plugin.stdout.on("data", data => answer("setStdout", data));
  plugin.stderr.on("data", data => answer("setStderr", data));
  plugin.on("close", code => {
    answer("setExitcode", code ?? 1);
    call.end();
  });
  call.on("cancelled", () => plugin.kill());
}

/** The generator's path is in the environment; only programs in TypeScript need it. */
function generatePackage({ request }, done) {
  try {
    execFileSync(process.env.SDK_GENERATOR, [request.getDirectory(), request.getLoaderTarget()], {
      input: request.getSchema(),
    });
    done(null, new messages.GeneratePackageResponse());
  } catch (error) {
    done(error);
  }
}

/** As the official host links an SDK: as a dependency of the program, whose script may run. */
function linkSdk({ request }, done) {
  const folder = request.getInfo().getProgramDirectory();
  const response = new messages.LinkResponse();
  try {
    const file = join(folder, "package.json");
    const program = JSON.parse(readFileSync(file, "utf8"));
    for (const sdk of request.getPackagesList()) {
      const from = `file:${sdk.getPath()}`;
      const { name } = JSON.parse(readFileSync(join(folder, sdk.getPath(), "package.json"), "utf8"));
      program.dependencies[name] = from;
      program.allowScripts = { ...program.allowScripts, [from]: true };
      response.setImportInstructions(`import * as budgie from "${name}";`);
    }
    writeFileSync(file, JSON.stringify(program, undefined, 2));
    done(null, response);
  } catch (error) {
    done(error);
  }
}

const link = (_, done) => done(null, new messages.LinkResponse());
const missing = host.endsWith("-yaml") ? { link } : { generatePackage, link: linkSdk };
const service = Object.fromEntries(Object.entries(hosts.LanguageRuntimeService).map(forwarded));
const server = new grpc.Server(SIZE);
server.addService(hosts.LanguageRuntimeService, {
  ...service,
  runPlugin,
  ...missing,
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, own) => {
  if (error) throw error;
  process.stdout.write(`${own}\n`);
});
