import { isDeepStrictEqual } from "node:util";
import { type Failure, type Properties, UNKNOWN } from "../provider.ts";
import { policyMeaning } from "./policy.ts";

/** One property of a resource, or of an object within it. */
export type Field = Shape & {
  required?: true;
  /** A change takes another resource. */
  replaces?: true;
  /** What holds when it is left out: then leaving it out and naming it are the same. */
  default?: unknown;
  /** Only this plugin knows it; the server does not. */
  local?: true;
};

type Shape =
  | { is: "text"; oneOf?: readonly string[] }
  /** JSON in which much can be written in several ways. */
  | { is: "policy" }
  | { is: "date" }
  | { is: "number"; least?: number }
  | { is: "flag" }
  /** Texts by name. */
  | { is: "tags" }
  /** Texts whose order means nothing. */
  | { is: "texts" }
  | { is: "object"; fields: Fields }
  /** Objects whose order means nothing. */
  | { is: "list"; fields: Fields };

export type Fields = Record<string, Field>;

/** What is wrong with the values of some fields; empty if nothing is. `unsupported` are declared, but not to be had here. */
export function check(fields: Fields, unsupported: string[], values: Properties): Failure[] {
  const declared = Object.keys(fields);
  const unknown = Object.keys(values).filter(name => !declared.includes(name) && isSet(values[name]));
  return [
    ...unknown.map(property => ({
      property,
      reason: unsupported.includes(property)
        ? "is not supported by the AWS plugin's stand-in; the official plugin is needed for it"
        : "is not a property of this resource in the version of @pulumi/aws that this plugin stands in for",
    })),
    ...declared.flatMap(name => checkField(fields[name] as Field, values[name], name)),
  ];
}

function checkField(field: Field, value: unknown, path: string): Failure[] {
  if (!isSet(value)) return field.required ? [{ property: path, reason: "is required" }] : [];
  if (value === UNKNOWN) return [];
  const { wanted, fits } = expectation(field);
  if (!fits(value)) return [{ property: path, reason: `must be ${wanted}` }];
  if (field.is === "object") return checkObject(field.fields, value as Properties, path);
  if (field.is !== "list") return [];
  return (value as unknown[]).flatMap((item, index) =>
    checkField({ is: "object", fields: field.fields, required: true }, item, `${path}[${index}]`),
  );
}

function checkObject(fields: Fields, value: Properties, path: string): Failure[] {
  return check(fields, [], value).map(({ property, reason }) => ({
    property: `${path}.${property}`,
    reason,
  }));
}

/** What the field wants, and whether a value is that. */
function expectation(field: Field): { wanted: string; fits: (value: unknown) => boolean } {
  switch (field.is) {
    case "text": {
      const { oneOf } = field;
      if (!oneOf) return { wanted: "a text", fits: value => typeof value === "string" };
      return { wanted: `one of ${oneOf.join(", ")}`, fits: value => oneOf.includes(value as string) };
    }
    case "policy":
      return {
        wanted: "a policy in JSON",
        fits: value => typeof value === "string" && typeof policyMeaning(value) === "object",
      };
    case "date":
      return {
        wanted: "a date in RFC 3339 format",
        fits: value => typeof value === "string" && !Number.isNaN(Date.parse(value)),
      };
    case "number": {
      const { least = 0 } = field;
      return {
        wanted: `a whole number of at least ${least}`,
        fits: value => Number.isInteger(value) && (value as number) >= least,
      };
    }
    case "flag":
      return { wanted: "true or false", fits: value => typeof value === "boolean" };
    case "tags":
      return {
        wanted: "a map of texts",
        fits: value => isObject(value) && Object.values(value).every(text => typeof text === "string"),
      };
    case "texts":
      return {
        wanted: "a list of texts",
        fits: value => Array.isArray(value) && value.every(text => typeof text === "string"),
      };
    case "object":
      return { wanted: "an object", fits: isObject };
    case "list":
      return { wanted: "a list of objects", fits: Array.isArray };
  }
}

/** The names of the fields in which two sets of values differ in meaning. What only this plugin knows counts as well. */
export function differing(fields: Fields, one: Properties, other: Properties): string[] {
  return Object.keys(fields).filter(name => !isSame(fields[name] as Field, one[name], other[name]));
}

/**
 * What a program would have to declare for the server to be as it is: as it was declared where that means the same, and
 * nothing for what holds anyway.
 */
export function asDeclared(fields: Fields, declared: Properties, actual: Properties): Properties {
  const values = Object.entries(fields).map(([name, field]) => {
    const keep = field.local || isSame(field, declared[name], actual[name]);
    return [name, keep ? declared[name] : tidy(field, actual[name])] as const;
  });
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

function isSame(field: Field, one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(meaning(field, one), meaning(field, other));
}

/** Without all that is not set, or set to what holds anyway. */
function tidy(field: Field, value: unknown): unknown {
  if (!isSet(value) || isDeepStrictEqual(value, field.default)) return undefined;
  if (value === UNKNOWN) return UNKNOWN;
  if (field.is === "date") return new Date(value as string).toISOString();
  if (field.is === "list") {
    const item: Field = { is: "object", fields: field.fields };
    return unlessEmpty((value as unknown[]).map(each => tidy(item, each)).filter(isSet));
  }
  if (field.is === "tags" || field.is === "texts") return unlessEmpty(value as object);
  if (field.is !== "object") return value;
  const entries = Object.entries(field.fields).map(
    ([name, inner]) => [name, tidy(inner, (value as Properties)[name])] as const,
  );
  return unlessEmpty(Object.fromEntries(entries.filter(([, inner]) => inner !== undefined)));
}

/** The same for two values that mean the same. */
function meaning(field: Field, value: unknown): unknown {
  const tidied = tidy(field, value);
  if (field.is === "policy" && typeof tidied === "string") return policyMeaning(tidied);
  if (!Array.isArray(tidied)) return tidied;
  return tidied.toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
}

function unlessEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
