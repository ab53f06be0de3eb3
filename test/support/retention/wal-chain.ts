import type { BaseRecord } from "../../../agent/point-in-time/base-record.ts";
import { type Recoverable, recoverables } from "../../../agent/point-in-time/recoverable.ts";
import type { ChainContent } from "../../../agent/point-in-time/wal-chain.ts";
import { sealedName, segmentAt } from "../../../agent/point-in-time/wal-segment.ts";

export const SEGMENT_BYTES = 16 * 1024 * 1024;
export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;
export const START = Date.parse("2026-11-01T00:00:00.000Z");

export const segment = (number: number) =>
  segmentAt(1, BigInt(number) * BigInt(SEGMENT_BYTES), SEGMENT_BYTES);
const lsn = (number: number, offset: number) =>
  `${((number * SEGMENT_BYTES) / 2 ** 32) | 0}/${((number * SEGMENT_BYTES + offset) % 2 ** 32).toString(16).toUpperCase()}`;

/** A base backup that begins and ends in segment `number`. */
export function base(
  number: number,
  at: number,
  name = new Date(at).toISOString().replace(/[-:]|\.\d+/g, ""),
): BaseRecord {
  return {
    format: 1,
    name,
    stack: "test",
    systemIdentifier: "1",
    timeline: 1,
    segmentBytes: SEGMENT_BYTES,
    startLsn: lsn(number, 0x28),
    stopLsn: lsn(number, 0x100),
    consistentAt: new Date(at).toISOString(),
    serverVersion: "16.14",
    clusterBytes: 1,
    parameters: {},
    files: [{ name: `${name}.tar.gz`, bytes: 1, sha256: "0".repeat(64) }],
  };
}

/** What one base backup leads to; null when it cannot be used. */
export function recoverableFrom(chain: ChainContent, from: BaseRecord): Recoverable | null {
  return recoverables([{ ...chain, bases: [from] }])[0] ?? null;
}

/** A chain whose segment N covers until N minutes after `startedAt`. */
export function chainOf(
  parts: Partial<Omit<ChainContent, "sealed" | "received" | "partial">> & {
    startedAt?: number;
    sealed?: readonly number[];
    received?: readonly number[];
    partial?: number;
    systemIdentifier?: string;
  },
): ChainContent {
  const { startedAt = START, systemIdentifier = "1" } = parts;
  const name = `${new Date(startedAt).toISOString().replace(/[-:]|\.\d+/g, "")}_${systemIdentifier}`;
  return {
    chain: { name, systemIdentifier },
    bases: parts.bases ?? [],
    sealed: (parts.sealed ?? []).map(number => {
      const coversUntil = startedAt + number * MINUTE;
      const hash = "0".repeat(12);
      return {
        file: sealedName(segment(number), coversUntil, hash),
        segment: segment(number),
        coversUntil,
        hash,
      };
    }),
    received: (parts.received ?? []).map(segment),
    partial: parts.partial === undefined ? null : segment(parts.partial),
    mark: parts.mark ?? null,
  };
}
