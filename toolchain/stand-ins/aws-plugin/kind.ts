import { createHash, randomBytes } from "node:crypto";
import { type Difference, type Failure, type Properties, secret, UNKNOWN } from "../provider.ts";
import type { Connection } from "./connection.ts";
import { asDeclared, check, differing, type Fields } from "./fields.ts";

/** One kind of resource: what it is made of, and the calls that make, read, change and remove one. */
export interface Kind {
  /** As the SDK sends it. */
  type: string;
  fields: Fields;
  /** What @pulumi/aws declares, and this stand-in has not. */
  unsupported: string[];
  /** The property that is made up from the logical name where the program leaves it out. */
  named?: { property: string; lowerCase: boolean };
  /** The outputs that are no inputs. */
  outputs: string[];
  secretOutputs?: string[];
  create(at: Connection, inputs: Properties): Promise<{ id: string; outputs: Properties }>;
  /** What it is at the server; `inputs` in full. `state` is empty for an import. Undefined if it is gone. */
  read(
    at: Connection,
    id: string,
    state: Properties,
  ): Promise<{ inputs: Properties; outputs: Properties } | undefined>;
  update(at: Connection, id: string, news: Properties, olds: Properties): Promise<void>;
  /** Succeeds for one that is gone already. */
  remove(at: Connection, id: string, state: Properties): Promise<void>;
}

/** The inputs with a name made up where there is none, and what is wrong with them. */
export function checked(
  kind: Kind,
  logicalName: string,
  olds: Properties,
  news: Properties,
  seed: Uint8Array,
): { inputs: Properties; failures: Failure[] } {
  const { named } = kind;
  const failures = check(kind.fields, kind.unsupported, news);
  if (!named || (news[named.property] ?? undefined) !== undefined) return { inputs: news, failures };
  const made = olds[named.property] ?? `${logicalName}-${sevenDigits(logicalName, seed)}`;
  const name = named.lowerCase ? String(made).toLowerCase() : made;
  return { inputs: { ...news, [named.property]: name }, failures };
}

/** The same in the preview and in the update that follows. */
function sevenDigits(logicalName: string, seed: Uint8Array): string {
  const source = seed.length > 0 ? seed : randomBytes(16);
  return createHash("sha256").update(source).update(logicalName).digest("hex").slice(0, 7);
}

export function difference(kind: Kind, olds: Properties, news: Properties): Difference {
  const changed = differing(kind.fields, olds, news);
  const replaces = changed.filter(name => kind.fields[name]?.replaces);
  const keepsName = kind.named !== undefined && !changed.includes(kind.named.property);
  return { changed, replaces, deleteBeforeReplace: replaces.length > 0 && keepsName };
}

export function previewed(kind: Kind, inputs: Properties): Properties {
  return { ...inputs, ...Object.fromEntries(kind.outputs.map(name => [name, UNKNOWN])) };
}

export function stateOf(kind: Kind, inputs: Properties, outputs: Properties): Properties {
  const known = kind.outputs
    .filter(name => outputs[name] !== undefined)
    .map(name => [name, kind.secretOutputs?.includes(name) ? secret(outputs[name]) : outputs[name]]);
  return { ...inputs, ...Object.fromEntries(known) };
}

/** The inputs and the state of a resource that was read; `inputs` are those declared so far. */
export function refreshed(
  kind: Kind,
  inputs: Properties,
  found: { inputs: Properties; outputs: Properties },
): { inputs: Properties; state: Properties } {
  const actual = asDeclared(kind.fields, inputs, found.inputs);
  return { inputs: actual, state: stateOf(kind, actual, found.outputs) };
}
