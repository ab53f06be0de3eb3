import * as pulumi from "@pulumi/pulumi";
import { expect } from "vitest";
import { parseSettings, SECRET_NAMES, type Settings } from "../../../settings.ts";
import { DEFAULTS } from "./mocks.ts";

export interface Written {
  /** @default dev */
  stack?: string | undefined;
  /** Which were set with --secret, as `budgie:…`. @default all that must be */
  secrets?: readonly string[] | undefined;
}

/** What the program makes of these settings, written without `budgie:`, beside the defaults. Throws as it does. */
export function settingsOf(
  values: Record<string, string>,
  { stack = "dev", secrets = SECRET_NAMES.map(name => `budgie:${name}`) }: Written = {},
): Settings {
  const all = Object.entries(values).map(([name, value]) => [`budgie:${name}`, value]);
  return parseSettings({
    stack,
    values: { ...DEFAULTS, ...Object.fromEntries(all) },
    isSecret: name => secrets.includes(name),
  });
}

/** What is said of them, below the title; empty when they are good. */
export function problemsOf(values: Record<string, string>, written?: Written): string {
  try {
    settingsOf(values, written);
  } catch (error) {
    expect(pulumi.RunError.isInstance(error)).toBe(true);
    return (error as Error).message.split("\n").slice(2).join("\n");
  }
  return "";
}
