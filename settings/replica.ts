import { isIPv4 } from "node:net";
import { z } from "zod";
import { replicaName } from "../shared/replica-name.ts";
import {
  boolean,
  integer,
  NAMESPACE,
  optional,
  type Problem,
  removeCommand,
  type SettingDefinition,
  setCommand,
} from "./definition.ts";

/** Standbys of the database on other machines, and how they reach it. */
export interface ReplicaSettings {
  /** Each is an engine's address. */
  hosts: readonly string[];
  /** Where the database's machine is reached by them. */
  address: string;
  port: number;
  /** The port of 127.0.0.1 of their own machines on which they are read. */
  readPort: number | undefined;
  /** Whether a commit waits for one of them. */
  synchronous: boolean;
  /** Where the first of them is reached from the database's machine, to read backups from it. */
  backupAddress: string | undefined;
  /** How much WAL the database keeps for one that is away. */
  keepMegabytes: number;
}

export const ENGINE_HOST = /^(unix:\/\/\/[^\s]+|tcp:\/\/[^\s/]+|ssh:\/\/[^\s/]+)$/;

export const replicaDefinitions = {
  replicaHosts: {
    schema: optional(
      z
        .string()
        .transform(hosts => hosts.split(/\s+/).filter(Boolean))
        .refine(areHosts),
    ),
    allowed:
      "one to four different container engines, with spaces between them: ssh://USER@HOST, tcp://HOST:PORT or unix:///PATH; or nothing",
    example: "ssh://budgie@db2.example.com",
  },
  replicationAddress: {
    schema: optional(z.string().refine(isOneMachine)),
    allowed: "an IPv4 address of the database's machine, other than 0.0.0.0, or nothing",
    example: "10.0.0.5",
  },
  replicationPort: { schema: integer(1, 65535), allowed: "a whole number from 1 to 65535", example: "5433" },
  replicaPort: {
    schema: optional(integer(1024, 65535), "0"),
    allowed: "a whole number from 1024 to 65535, or 0 for none",
    example: "5434",
  },
  replicaBackupAddress: {
    schema: optional(z.string().refine(isOneMachine)),
    allowed: "an IPv4 address of the first replica's machine, other than 0.0.0.0, or nothing",
    example: "10.0.0.6",
  },
  replicaSynchronous: { schema: boolean, allowed: "true or false", example: "true" },
  replicaKeepMegabytes: {
    schema: integer(64, 1_048_576),
    allowed: "a whole number of megabytes from 64 to 1048576",
    example: "16384",
  },
} satisfies Record<string, SettingDefinition>;

function isOneMachine(address: string): boolean {
  return isIPv4(address) && address !== "0.0.0.0";
}

/** Two that lead to one machine would share a container there. */
function areHosts(hosts: readonly string[]): boolean {
  const known = hosts.every(host => ENGINE_HOST.test(host) && URL.canParse(host));
  return (
    known && hosts.length >= 1 && hosts.length <= 4 && new Set(hosts.map(replicaName)).size === hosts.length
  );
}

type ReplicaValues = {
  [Name in keyof typeof replicaDefinitions]: z.output<(typeof replicaDefinitions)[Name]["schema"]>;
};

/** Settings that are fine alone and wrong together. */
export function replicaProblems(values: Partial<ReplicaValues>): Problem[] {
  const { replicaHosts: hosts, replicationAddress: address } = values;
  if (hosts && !address)
    return [
      {
        what: `${NAMESPACE}:replicaHosts is set, but ${NAMESPACE}:replicationAddress is not: the replicas would not know where the database is.`,
        type: setCommand("replicationAddress", replicaDefinitions.replicationAddress),
      },
    ];
  if (hosts) return [];
  const needless = [
    ...(address ? ["replicationAddress"] : []),
    ...(values.replicaPort ? ["replicaPort"] : []),
    ...(values.replicaBackupAddress ? ["replicaBackupAddress"] : []),
    ...(values.replicaSynchronous ? ["replicaSynchronous"] : []),
  ];
  return needless.map(name => ({
    what: `${NAMESPACE}:${name} is set, but ${NAMESPACE}:replicaHosts, which it belongs to, is not.`,
    type: removeCommand(name),
  }));
}

export function toReplicas(values: ReplicaValues): ReplicaSettings | undefined {
  const { replicaHosts: hosts, replicationAddress: address } = values;
  if (!hosts || !address) return undefined;
  return {
    hosts,
    address,
    port: values.replicationPort,
    readPort: values.replicaPort,
    backupAddress: values.replicaBackupAddress,
    synchronous: values.replicaSynchronous,
    keepMegabytes: values.replicaKeepMegabytes,
  };
}
