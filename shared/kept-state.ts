import { z } from "zod";

/** What is kept of a stack beside its backups: its state as Pulumi exports it, with its secrets encrypted, and its settings. */
export const keptState = z.object({
  format: z.literal(1),
  /** As Pulumi names it. */
  stack: z.string().min(1),
  stackVersion: z.string(),
  at: z.iso.datetime(),
  /** Of `Pulumi.STACK.yaml`, letter by letter; null where there was none. */
  settings: z.string().nullable(),
  state: z.looseObject({
    version: z.number(),
    deployment: z.looseObject({
      manifest: z.unknown(),
      secrets_providers: z.looseObject({ type: z.string(), state: z.unknown() }).optional(),
      resources: z.array(z.looseObject({ urn: z.string(), type: z.string() })).optional(),
    }),
  }),
});

export type KeptState = z.infer<typeof keptState>;

/** `state_20261122T140300Z-4f2a9c01d3e7.json` */
const NAME = /^state_\d{8}T\d{6}Z-[0-9a-f]{12}\.json$/;

/** Whether a file is called as the agent calls a state that it keeps. */
export function isStateName(name: string): boolean {
  return NAME.test(name);
}

/** What Pulumi marks a secret with, and what follows that mark. */
const [MARK, SECRET] = ["4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"];

/** Whether a secret is in it that everybody can read, as in an export with --show-secrets. */
export function holdsPlaintext(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some(holdsPlaintext);
  const fields = value as Record<string, unknown>;
  if (fields[MARK] === SECRET && typeof fields.ciphertext !== "string") return true;
  return Object.values(fields).some(holdsPlaintext);
}
