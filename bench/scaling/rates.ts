import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Shape } from "../plain-tools-data.ts";
import { RESULTS, type Result } from "../plain-tools-page.ts";

export const RATES = fileURLToPath(new URL("../recovery-rates.json", import.meta.url));

export interface JobsRate {
  shape: Shape;
  jobs: number;
  dumpSeconds: number;
  restoreSeconds: number;
}

/** As `npm run bench recovery-rates` measures them, on one machine with nothing else to do. */
export interface RecoveryRates {
  /** YYYY-MM-DD. */
  at: string;
  cores: number;
  /** Of the same database: as plain SQL, as it lies on the disk, and as plain SQL through gzip. */
  dumpBytes: number;
  databaseBytes: number;
  compressedBytes: number;
  /** pg_dump's directory format, and pg_restore from it. */
  jobs: JobsRate[];
  /** pg_basebackup of the server. */
  baseBytes: number;
  baseBackupSeconds: number;
  walBytes: number;
  replaySeconds: number;
  /** What a segment of WAL takes through zstd, of 1. */
  walCompressedShare: number;
}

/** A straight line through what was measured at two sizes: `seconds + secondsPerGigabyte * gigabytes`. */
export interface Line {
  seconds: number;
  secondsPerGigabyte: number;
}

export interface Rates {
  backup: Line;
  /** On a machine on which nothing is yet. */
  restore: Line;
  drill: Line;
  /** Of gigabytes on the disk. */
  baseBackup: Line;
  /** Of gigabytes of WAL. */
  replay: Line;
  /** How many bytes on the disk a byte of plain dump is. */
  onDisk: number;
  /** How many bytes a byte of plain dump, or of WAL, is when it is compressed. */
  compressed: number;
  walCompressed: number;
  cores: number;
  at: string;
}

/** The database of many tables stands for all: its loads have more of what is not rows. */
const SHAPE: Shape = "500 small tables";

export function readRates(): Rates {
  const results = JSON.parse(readFileSync(RESULTS, "utf8")) as Result[];
  const measured = JSON.parse(readFileSync(RATES, "utf8")) as RecoveryRates;
  return {
    backup: lineOf(results, "backup"),
    restore: lineOf(results, "restore, new machine"),
    drill: lineOf(results, "drill"),
    baseBackup: through(measured.baseBackupSeconds, measured.baseBytes),
    replay: through(measured.replaySeconds, measured.walBytes),
    onDisk: measured.databaseBytes / measured.dumpBytes,
    compressed: measured.compressedBytes / measured.dumpBytes,
    walCompressed: measured.walCompressedShare,
    cores: measured.cores,
    at: measured.at,
  };
}

/** From the two largest sizes: below, the start of programs is most of what is measured. */
export function lineOf(results: readonly Result[], name: string): Line {
  const measured = results
    .filter(result => result.name === name && result.shape === SHAPE)
    .sort((a, b) => a.megabytes - b.megabytes)
    .slice(-2);
  const [small, large] = measured;
  if (!small || !large)
    throw new Error(`${name} was measured at fewer than two sizes: npm run bench plain-tools`);
  const secondsPerGigabyte =
    ((large.ownSeconds - small.ownSeconds) / (large.megabytes - small.megabytes)) * 1000;
  return {
    secondsPerGigabyte,
    seconds: Math.max(0, small.ownSeconds - (secondsPerGigabyte * small.megabytes) / 1000),
  };
}

function through(seconds: number, bytes: number): Line {
  return { seconds: 0, secondsPerGigabyte: seconds / (bytes / 1e9) };
}

export function secondsFor(line: Line, gigabytes: number): number {
  return line.seconds + line.secondsPerGigabyte * gigabytes;
}
