import { z } from "zod";
import { secretPattern } from "../shared/secrets.ts";
import { shellWord } from "../shared/shell-word.ts";

export const NAMESPACE = "budgie";

/** How a setting is read, what is allowed, and an example that is. */
export interface SettingDefinition {
  schema: z.ZodType<unknown, string>;
  allowed: string;
  /**
   * What follows the name in `pulumi config set`. For a secret: how it is fed in, or nothing, and then it is asked for.
   */
  example: string;
  secret?: true;
}

/** One thing that is wrong, in the operator's words. */
export interface Problem {
  what: string;
  allowed?: string;
  type: string;
}

export const text = (pattern: RegExp) => z.string().regex(pattern);
export const optional = <T>(schema: z.ZodType<T, string>, notSet = "") =>
  z.union([z.literal(notSet).transform(() => undefined), schema]);
export const integer = (from: number, to: number) =>
  text(/^\d{1,9}$/)
    .transform(Number)
    .refine(value => value >= from && value <= to);
export const boolean = z.enum(["true", "false"]).transform(value => value === "true");

export const secret = (length: number) => text(secretPattern(length));

const IMAGE_NAME = /^[a-z0-9][a-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$/i;
export const imageName = text(IMAGE_NAME);

/** Secrets are asked for at a prompt, or read from a file, so that they end up in no shell history. */
export function setCommand(name: string, { example, secret }: SettingDefinition): string {
  const value = secret ? example : shellWord(example);
  return `npm run pulumi -- config set ${secret ? "--secret " : ""}${NAMESPACE}:${name}${value ? ` ${value}` : ""}`;
}

export function removeCommand(name: string): string {
  return `npm run pulumi -- config rm ${shellWord(`${NAMESPACE}:${name}`)}`;
}
