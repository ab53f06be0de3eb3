// The executable pulumi-resource-command: local-command.ts as a provider. Only for machines that cannot download the official
// plugin.
import type { Call, Provider } from "../provider.ts";
import { serve } from "../provider-protocol.ts";
import {
  check,
  commandInputs,
  create,
  diff,
  invokeRun,
  remove,
  runArguments,
  update,
} from "./local-command.ts";
import type { Surroundings } from "./script.ts";

const TYPE = "command:local:Command";
const RUN = "command:local:run";

const provider: Provider = {
  name: "command",
  version: PLUGIN_VERSION,
  check: (call, _olds, news) => {
    if (call.type !== TYPE) throw new Error(missing(call.type));
    return { failures: check(news, commandInputs) };
  },
  diff: (_call, olds, news) => diff(olds, news),
  create: (call, inputs, preview) => create(call.name, inputs, preview, around(call)),
  update: (call, _id, olds, news, preview) => update(olds, news, preview, around(call)),
  delete: (call, _id, state) => remove(state, around(call)),
  invoke: async (call, token, args) => {
    if (token !== RUN) throw new Error(missing(token));
    const failures = check(args, runArguments);
    return failures.length > 0 ? failures : invokeRun(args, around(call));
  },
};

function around({ signal, log }: Call): Surroundings {
  return { signal, log: (_stream, line) => log(line) };
}

function missing(what: string): string {
  return `${what} is not in the Command plugin's stand-in, which has ${TYPE} and ${RUN}; the official plugin is needed for it`;
}

serve(provider);

declare const PLUGIN_VERSION: string;
