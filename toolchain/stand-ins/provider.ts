// What a plugin that stands in here for an official one does; provider-protocol.ts lets the engine call it.

/** What the engine sends for a value that a preview cannot know. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export type Properties = Record<string, unknown>;

export interface Failure {
  property: string;
  reason: string;
}

/** What one call is about, and how it can talk to the engine. */
export interface Call {
  /** A resource's type, as `command:local:Command`, and its logical name. */
  type: string;
  name: string;
  /** Aborted when the operator cancels, or when the resource's custom timeout has passed. */
  signal: AbortSignal;
  /** Shows a line to the operator. */
  log: (line: string) => void;
}

export interface Difference {
  changed: string[];
  replaces: string[];
  /** Whether the old one must go before the new one can be. */
  deleteBeforeReplace?: boolean;
}

/** What a provider does. Whatever it throws becomes the engine's error message. */
export interface Provider {
  /** As in `@pulumi/NAME`. */
  name: string;
  version: string;
  checkConfig?(config: Properties): Failure[];
  /** Values that are no texts are JSON in a text. */
  configure?(config: Record<string, string>): void;
  /** `seed` stays the same from a preview to the update that follows. */
  check(
    call: Call,
    olds: Properties,
    news: Properties,
    seed: Uint8Array,
  ): { inputs?: Properties; failures: Failure[] };
  diff(call: Call, olds: Properties, news: Properties): Difference;
  create(call: Call, inputs: Properties, preview: boolean): Promise<{ id: string; state: Properties }>;
  /** For a refresh, and without `inputs` for an import. Undefined if it is gone; absent if it can only be what it was. */
  read?(
    call: Call,
    id: string,
    inputs: Properties,
    state: Properties,
  ): Promise<{ inputs: Properties; state: Properties } | undefined>;
  update(call: Call, id: string, olds: Properties, news: Properties, preview: boolean): Promise<Properties>;
  delete(call: Call, id: string, state: Properties): Promise<void>;
  /** The function `token`; throws for one that there is not. */
  invoke(call: Call, token: string, args: Properties): Promise<Properties | Failure[]>;
}

const SECRET_KEY = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Marks an output that the engine must keep encrypted. */
export function secret(value: unknown): Properties {
  return { [SECRET_KEY]: SECRET, value };
}
