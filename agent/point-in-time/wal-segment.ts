/** Names of WAL: PostgreSQL's own for a segment, and the one under which a segment is kept and sent. */

const SEGMENT = /^[0-9A-F]{24}$/;
const SEALED = /^([0-9A-F]{24})_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([0-9a-f]{12})\.gz$/;
const DIGITS = 12;

/** A segment that is complete and compressed. Here and in a bucket, its name says all that a recovery must know of it. */
export interface SealedSegment {
  /** The file's name: `000000010000000000000003_20261122T130300123Z-4f2a9c01d3e7.gz`. */
  file: string;
  segment: string;
  /** Every transaction committed by then is in this segment or in an earlier one. Milliseconds since 1970. */
  coversUntil: number;
  /** The first 12 digits of the file's SHA-256. */
  hash: string;
}

export function isSegment(name: string): boolean {
  return SEGMENT.test(name);
}

export function sealedName(segment: string, coversUntil: number, sha256: string): string {
  const at = new Date(coversUntil).toISOString().replace(/[-:.]/g, "");
  return `${segment}_${at}-${sha256.slice(0, DIGITS)}.gz`;
}

export function parseSealedName(file: string): SealedSegment | null {
  const [, segment, year, month, day, hour, minute, second, ms, hash] = SEALED.exec(file) ?? [];
  if (!segment || !hash) return null;
  const coversUntil = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
  return Number.isNaN(coversUntil) ? null : { file, segment, coversUntil, hash };
}

/** The position of `0/3000060`, in bytes. */
export function parseLsn(lsn: string): bigint {
  const [, high, low] = /^([0-9A-F]+)\/([0-9A-F]+)$/i.exec(lsn) ?? [];
  if (!high || !low) throw new Error(`${lsn} is no position in the WAL`);
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** The segment with the byte at `lsn`. */
export function segmentAt(timeline: number, lsn: bigint, segmentBytes: number): string {
  const number = lsn / BigInt(segmentBytes);
  const perLog = 0x1_0000_0000n / BigInt(segmentBytes);
  return [BigInt(timeline), number / perLog, number % perLog].map(hex8).join("");
}

/** The position behind a segment's last byte. */
export function endOfSegment(segment: string, segmentBytes: number): bigint {
  return startOfSegment(segment, segmentBytes) + BigInt(segmentBytes);
}

export function startOfSegment(segment: string, segmentBytes: number): bigint {
  return (
    (BigInt(`0x${segment.slice(8, 16)}`) << 32n) + BigInt(`0x${segment.slice(16)}`) * BigInt(segmentBytes)
  );
}

export function timelineOf(segment: string): number {
  return Number.parseInt(segment.slice(0, 8), 16);
}

/** In numbers and not in positions: of a year of WAL it is asked a hundred thousand times at each status. */
export function nextSegment(segment: string, segmentBytes: number): string {
  const log = Number.parseInt(segment.slice(8, 16), 16);
  const number = Number.parseInt(segment.slice(16), 16) + 1;
  const isLast = number * segmentBytes === 0x1_0000_0000;
  return segment.slice(0, 8) + hex8(isLast ? log + 1 : log) + hex8(isLast ? 0 : number);
}

function hex8(part: bigint | number): string {
  return part.toString(16).toUpperCase().padStart(8, "0");
}
