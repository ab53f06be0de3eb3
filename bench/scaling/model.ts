import { type Rates, secondsFor } from "./rates.ts";
import { COLDER, type ColderClass, standardPrice } from "./storage-price.ts";

/** What an operator knows of a household, or of a hundred thousand of them. */
export interface Load {
  /** Of a plain dump. 1 GB is 10^9 bytes. */
  gigabytes: number;
  walGigabytesPerDay: number;
  /** How much faster than the measured machine one core of the other is. */
  speed: number;
  /** From the bucket, in megabytes a second. */
  networkMegabytesPerSecond: number;
  /** How long a backup lies in the bucket: until it is hidden, and until it is gone after that. */
  keepDays: number;
  noncurrentDays: number;
  /** The class that backups move to after so many days, if any. */
  colder?: { class: ColderClass; afterDays: number };
}

/** Defaults as the stack has them; the rest is what a small household's machine does. */
export const USUAL: Omit<Load, "gigabytes"> = {
  walGigabytesPerDay: 0,
  speed: 1,
  networkMegabytesPerSecond: 50,
  keepDays: 90,
  noncurrentDays: 30,
};

/** The stack takes a base backup every so many days. */
const BASE_EVERY_DAYS = 7;
/** How long a segment of WAL waits at most before it is ended and sent (docs/point-in-time.md). */
const SEGMENT_SECONDS = 300;

/** Seconds. */
export interface Durations {
  backup: number;
  drill: number;
  restore: number;
  baseBackup: number;
  /** Of the WAL of as many days as lie between two base backups. */
  replay: number;
  /** Of a compressed backup, from the bucket. */
  fetch: number;
}

export function durations(rates: Rates, load: Load): Durations {
  const { gigabytes, walGigabytesPerDay, speed, networkMegabytesPerSecond } = load;
  return {
    backup: secondsFor(rates.backup, gigabytes) / speed,
    drill: secondsFor(rates.drill, gigabytes) / speed,
    restore: secondsFor(rates.restore, gigabytes) / speed,
    baseBackup: secondsFor(rates.baseBackup, gigabytes * rates.onDisk) / speed,
    replay: secondsFor(rates.replay, walGigabytesPerDay * BASE_EVERY_DAYS) / speed,
    fetch: (gigabytes * rates.compressed * 1000) / networkMegabytesPerSecond,
  };
}

export interface Recovery {
  shape: string;
  /** Seconds of work that are lost with the machine, at most; null where a lag decides. */
  point: number | null;
  /** Seconds from the decision until the data serves again. */
  time: number;
}

const DAY = 86_400;

/**
 * What the loss of the machine costs, by shape. Times of those on two machines are of the takeover alone; for RDS 60 to 120 seconds, for
 * Aurora less than 60 (AWS user guides).
 */
export function recoveries(rates: Rates, load: Load): Recovery[] {
  const { backup, restore, replay, fetch, baseBackup } = durations(rates, load);
  const walFetch =
    (load.walGigabytesPerDay * BASE_EVERY_DAYS * rates.walCompressed * 1000) / load.networkMegabytesPerSecond;
  return [
    {
      shape: "one host, a backup every night",
      point: DAY + backup,
      time: fetch + restore,
    },
    {
      shape: "one host, point in time",
      point: SEGMENT_SECONDS,
      // What was recovered is dumped and goes the way of every restore. A base is about as large as a compressed dump and its indexes.
      time: fetch * rates.onDisk + walFetch + baseBackup + replay + backup + restore,
    },
    {
      shape: "a standby, asynchronous",
      point: null,
      time: 60,
    },
    {
      shape: "a standby, synchronous",
      point: 0,
      time: 60,
    },
    {
      shape: "RDS, Multi-AZ",
      point: 0,
      time: 120,
    },
    {
      shape: "Aurora",
      point: 0,
      time: 60,
    },
  ];
}

/** Gigabytes that lie in the bucket once it has reached its steady state. */
export interface Stored {
  standard: number;
  colder: number;
  wal: number;
}

/** With a backup a day. A versioned bucket still charges for what its rule has hidden. */
export function stored(rates: Rates, load: Load): Stored {
  const { gigabytes, walGigabytesPerDay, keepDays, noncurrentDays, colder } = load;
  const days = keepDays + noncurrentDays;
  const copy = gigabytes * rates.compressed;
  const standardDays = colder ? Math.min(days, colder.afterDays) : days;
  const bases = walGigabytesPerDay > 0 ? (days / BASE_EVERY_DAYS) * copy * rates.onDisk : 0;
  return {
    standard: standardDays * copy,
    colder: (days - standardDays) * copy,
    wal: days * walGigabytesPerDay * rates.walCompressed + bases,
  };
}

/** Dollars a month. */
export function storagePrice(rates: Rates, load: Load): number {
  const { standard, colder, wal } = stored(rates, load);
  const cold = load.colder ? COLDER[load.colder.class] * colder : 0;
  return standardPrice(standard + wal) + cold;
}

/** How many times as fast `jobs` jobs are as one: no faster than the cores, and never faster than the largest table alone. */
export function speedup(jobs: number, cores: number, largestTable: number): number {
  return 1 / Math.max(largestTable, 1 / Math.min(jobs, cores));
}

/** The largest database in gigabytes for which `time` stays within `seconds`, to two digits; 0 when there is none. */
export function largestWithin(seconds: number, time: (gigabytes: number) => number): number {
  if (time(0) > seconds) return 0;
  let [low, high] = [0, 1];
  while (time(high) <= seconds && high < 1e9) high *= 2;
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (time(middle) <= seconds) low = middle;
    else high = middle;
  }
  return Number(low.toPrecision(2));
}

export interface Advice {
  /** Gigabytes of plain dump from which on it holds. */
  from: number;
  advice: string;
}

/** When the nights are longer than this, backups meet the day's work. */
const NIGHT = 8 * 3600;
/** RDS for PostgreSQL holds 64 TiB, Aurora 256 TiB (AWS user guides). */
const RDS_GIGABYTES = 70_000;

/** From which size on what is due, when the data must serve again within `wanted` seconds of the loss of its machine. */
export function advise(rates: Rates, load: Omit<Load, "gigabytes">, wanted: number): Advice[] {
  const at = (gigabytes: number): Load => ({ ...load, gigabytes });
  const time = (shape: number) => (gigabytes: number) =>
    recoveries(rates, at(gigabytes))[shape]?.time ?? Number.POSITIVE_INFINITY;
  const night = (gigabytes: number) => {
    const { backup, drill } = durations(rates, at(gigabytes));
    return backup + drill;
  };
  return [
    { from: largestWithin(wanted, time(0)), advice: "a restore takes longer than that: a standby" },
    {
      from: largestWithin(wanted, time(1)),
      advice: "going back to a moment takes longer than that; a standby does not help against a wrong DELETE",
    },
    {
      from: largestWithin(NIGHT, night),
      advice:
        "a backup and its drill take longer than a night: back up from a standby, and drill at weekends",
    },
    { from: RDS_GIGABYTES / rates.onDisk, advice: "more than RDS stores: Aurora" },
  ].sort((a, b) => a.from - b.from);
}
