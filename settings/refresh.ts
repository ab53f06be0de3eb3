import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { isProductionName } from "../shared/production-name.ts";
import { PROJECT_FOLDER } from "../shared/project-folder.ts";
import { parseRefreshSource, type RefreshPlace } from "../shared/refresh-source.ts";
import { scheduleProblem } from "../shared/schedule.ts";
import {
  NAMESPACE,
  optional,
  type Problem,
  removeCommand,
  type SettingDefinition,
  secret,
  setCommand,
  text,
} from "./definition.ts";
import type { Credentials } from "./offsite.ts";
import { isPlainPrivateKey, isPublicKey } from "./ssh-key.ts";

/** Another stack's data, masked, in the place of this stack's own. */
export interface RefreshFrom {
  /** The other stack's name. */
  stack: string;
  /** As the operator wrote it. */
  source: string;
  /** A folder's path is as the operator wrote it. */
  place: RefreshPlace;
  /** Five cron fields; undefined where it is done by hand only. */
  schedule: string | undefined;
  mask: { shown: string; content: string };
  /** What reads a bucket. */
  reader: Credentials | undefined;
  /** What opens encrypted copies. */
  identity: pulumi.Output<string> | undefined;
  /** What logs in over ssh, and the server's public key. */
  ssh: { key: pulumi.Output<string>; hostKey: string } | undefined;
}

/** What each kind of place needs, and may have. */
const NEEDS = {
  directory: [],
  s3: ["refreshAccessKeyId", "refreshSecretAccessKey"],
  ssh: ["refreshSshKey", "refreshSshHostKey"],
} as const satisfies Record<RefreshPlace["kind"], readonly string[]>;
const SHOWN = { directory: "a folder", s3: "a bucket", ssh: "a folder over ssh" } as const;

export const refreshDefinitions = {
  refreshFrom: {
    schema: optional(text(/^[a-z0-9_.-]{1,100}$/i)),
    allowed: "another stack's name, or nothing; not in a stack with a production name",
    example: "prod",
  },
  refreshSource: {
    schema: optional(text(/^[^\r\n]+$/).refine(value => parseRefreshSource(value) !== undefined)),
    allowed:
      "a folder without a colon in its path, s3://BUCKET or s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION, ssh://USER@HOST:PORT/FOLDER, or nothing",
    example: "../prod/backups",
  },
  refreshSchedule: {
    schema: optional(text(/^[^\r\n]+$/).refine(value => scheduleProblem(value) === null)),
    allowed: "five cron fields (minute, hour, day of month, month, day of week) that come due, or nothing",
    example: "30 5 * * 1",
  },
  refreshMask: {
    schema: optional(text(/^[^\p{Cc}]+$/u)),
    allowed: "a file with SQL that exists, or nothing",
    example: "./mask.sql",
  },
  refreshAccessKeyId: {
    schema: optional(text(/^[\x21-\x7e]{3,128}$/)),
    allowed: "3 to 128 letters, digits and signs of ASCII without spaces, stored as a secret",
    example: "",
    secret: true,
  },
  refreshSecretAccessKey: {
    schema: optional(secret(8)),
    allowed: "8 to 200 letters, digits and signs of ASCII without spaces, stored as a secret",
    example: "",
    secret: true,
  },
  refreshSshKey: {
    schema: optional(z.string().refine(isPlainPrivateKey)),
    allowed: "an OpenSSH private key without a passphrase, stored as a secret",
    example: "< ~/.ssh/budgie_refresh",
    secret: true,
  },
  refreshSshHostKey: {
    schema: optional(z.string().refine(isPublicKey)),
    allowed: "the ssh server's public key, as `ssh-keyscan` prints it behind the host's name, or nothing",
    example: "ssh-ed25519 AAAAC3Nza...",
  },
  refreshIdentity: {
    schema: optional(text(/^AGE-SECRET-KEY-1[0-9A-Z]+\s*$/m)),
    allowed: "what `age-keygen -o key.txt` wrote, stored as a secret",
    example: "< key.txt",
    secret: true,
  },
} satisfies Record<string, SettingDefinition>;

export type RefreshValues = {
  [Name in keyof typeof refreshDefinitions]: z.output<(typeof refreshDefinitions)[Name]["schema"]>;
};
type Name = keyof RefreshValues;

/** Settings of a refresh that are fine alone and wrong together. Those that are wrong alone are absent. */
export function refreshProblems(values: Partial<RefreshValues>, stack: string): Problem[] {
  const { refreshFrom: from, refreshSource: source, refreshMask: mask } = values;
  if (!("refreshFrom" in values)) return [];
  if (from === undefined)
    return namesSet(values).map(name =>
      problem(
        "refreshFrom",
        `${NAMESPACE}:${name} is set, but ${NAMESPACE}:refreshFrom, which it belongs to, is not.`,
      ),
    );
  const target = refreshTargetProblem(stack, from);
  if (target !== null) return [{ what: target, type: removeCommand("refreshFrom") }];
  const needed = (["refreshSource", "refreshMask"] as const).filter(
    name => name in values && values[name] === undefined,
  );
  return [
    ...needed.map(name =>
      problem(
        name,
        `${NAMESPACE}:refreshFrom is set, which needs ${NAMESPACE}:${name}, and that is not set.`,
      ),
    ),
    ...ofTheKeys(values, source),
    ...(mask === undefined ? [] : ofTheMask(mask)),
  ];
}

/** Why no other stack's data may come into this one; null where it may. */
export function refreshTargetProblem(stack: string, from: string): string | null {
  if (from === stack) return `${NAMESPACE}:refreshFrom is ${from}, and that is this stack itself.`;
  if (!isProductionName(stack)) return null;
  return `${NAMESPACE}:refreshFrom is set, and ${stack} is a stack of production by its name: the data of ${from} would take the place of its own.`;
}

function namesSet(values: Partial<RefreshValues>): Name[] {
  return (Object.keys(refreshDefinitions) as Name[]).filter(name => values[name] !== undefined);
}

function ofTheKeys(values: Partial<RefreshValues>, source: string | undefined): Problem[] {
  const kind = source === undefined ? undefined : parseRefreshSource(source)?.kind;
  if (kind === undefined) return [];
  const needed: readonly Name[] = NEEDS[kind];
  const missing = needed.filter(name => name in values && values[name] === undefined);
  const possible: Name[] = [
    ...NEEDS.s3,
    ...NEEDS.ssh,
    ...(kind === "directory" ? ["refreshIdentity" as const] : []),
  ];
  const idle = possible.filter(name => !needed.includes(name) && values[name] !== undefined);
  return [
    ...missing.map(name =>
      problem(
        name,
        `${NAMESPACE}:refreshSource is ${SHOWN[kind]}, which needs ${NAMESPACE}:${name}, and that is not set.`,
      ),
    ),
    ...idle.map(name => ({
      what: `${NAMESPACE}:${name} is set, and does nothing while ${NAMESPACE}:refreshSource is ${SHOWN[kind]}.`,
      type: removeCommand(name),
    })),
  ];
}

function ofTheMask(written: string): Problem[] {
  try {
    if (readMaskFile(written).trim() !== "") return [];
    return [problem("refreshMask", `${NAMESPACE}:refreshMask is ${written}, and that file is empty.`)];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = `${NAMESPACE}:refreshMask is ${JSON.stringify(written)}, and that file cannot be read (${code}).`;
    return [problem("refreshMask", what)];
  }
}

function readMaskFile(written: string): string {
  return readFileSync(resolve(PROJECT_FOLDER, written), "utf8");
}

function problem(name: Name, what: string): Problem {
  return { what, type: setCommand(name, refreshDefinitions[name]) };
}

/** For values that do not contradict each other. */
export function toRefresh(values: RefreshValues): RefreshFrom | undefined {
  const { refreshFrom: stack, refreshSource: source, refreshMask: mask } = values;
  const { refreshAccessKeyId: id, refreshSecretAccessKey: key, refreshIdentity: identity } = values;
  const { refreshSshKey: sshKey, refreshSshHostKey: hostKey } = values;
  const place = source === undefined ? undefined : parseRefreshSource(source);
  if (!stack || !source || !place || !mask) return undefined;
  return {
    stack,
    source,
    place,
    schedule: values.refreshSchedule,
    mask: { shown: mask, content: readMaskFile(mask) },
    reader: id && key ? { accessKeyId: pulumi.secret(id), secretAccessKey: pulumi.secret(key) } : undefined,
    identity: identity === undefined ? undefined : pulumi.secret(identity),
    // Without the last line's end, which a prompt and a shell cut off, ssh refuses the file.
    ssh: sshKey && hostKey ? { key: pulumi.secret(`${sshKey.trimEnd()}\n`), hostKey } : undefined,
  };
}
