import { shownMinute } from "../base/shown-moment.ts";
import type { PointInTimeStatus } from "../point-in-time/status.ts";
import type { ShownBackup } from "./shown-backups.ts";

/** A stretch of time on one band, in milliseconds since 1970. */
export interface Span {
  from: number;
  until: number;
}

const DAY_MS = 24 * 3_600_000;
/** Finer dots than these would lie upon each other. */
const COLUMNS = 160;
/** Days that can be told apart on a phone. */
const NEAR_MS = 14 * DAY_MS;

/** What is shown: the last two weeks, and everything where there is more. None where there is nothing. */
export function spansOf(
  backups: readonly ShownBackup[],
  reach: PointInTimeStatus | null,
  now: number,
): Span[] {
  const moments = [...backups.map(({ at }) => at), reach?.earliest ?? null]
    .filter(at => at !== null)
    .map(at => Date.parse(at));
  if (moments.length === 0) return [];
  const oldest = Math.min(...moments, now - DAY_MS);
  const room = (span: number) => span * 0.02;
  const whole = { from: oldest - room(now - oldest), until: now + room(now - oldest) };
  if (now - oldest <= NEAR_MS) return [whole];
  return [{ from: now - NEAR_MS, until: now + room(NEAR_MS) }, whole];
}

interface Dot {
  at: number;
  count: number;
  proof: ShownBackup["proof"];
  pinned: boolean;
  copied: boolean | null;
  says: string;
}

/** Backups that would lie upon each other are one dot: the worst of them, for the eye must not pass over it. */
export function dotsOf(backups: readonly ShownBackup[], { from, until }: Span): Dot[] {
  const columns = new Map<number, ShownBackup[]>();
  for (const backup of backups) {
    const at = backup.at === null ? Number.NaN : Date.parse(backup.at);
    if (!(at >= from && at <= until)) continue;
    const column = Math.floor(((at - from) / (until - from)) * COLUMNS);
    columns.set(column, [...(columns.get(column) ?? []), backup]);
  }
  return [...columns.values()].map(together => {
    const [first] = together;
    const proofs = together.map(({ proof }) => proof);
    const copies = together.flatMap(({ copies }) => copies);
    const proof = proofs.includes("bad") ? "bad" : proofs.includes("proven") ? "proven" : "unproven";
    return {
      at: Date.parse(first?.at ?? ""),
      count: together.length,
      proof,
      pinned: together.some(({ pinned }) => pinned),
      copied: copies.length === 0 ? null : copies.every(({ at }) => at !== null),
      says: together.length === 1 ? `${first?.name}: ${proof}` : `${together.length} backups: ${proof}`,
    };
  });
}

/** One band of time: what can be gone back to, its gaps, the backups, and their copies below. */
export function Band({
  span,
  backups,
  reach,
  label,
}: {
  span: Span;
  backups: readonly ShownBackup[];
  reach: PointInTimeStatus | null;
  label: string;
}) {
  const x = (at: number) =>
    `${Math.min(100, Math.max(0, ((at - span.from) / (span.until - span.from)) * 100)).toFixed(2)}%`;
  const width = (from: number, until: number) =>
    `${Math.max(0.3, ((Math.min(until, span.until) - Math.max(from, span.from)) / (span.until - span.from)) * 100).toFixed(2)}%`;
  const dots = dotsOf(backups, span);
  const within = ({ from, until }: Span) => until >= span.from && from <= span.until;
  const reached =
    reach?.earliest && reach.latest
      ? { from: Date.parse(reach.earliest), until: Date.parse(reach.latest) }
      : null;
  const gaps = (reach?.gaps ?? []).map(({ from, until }) => ({
    from: Date.parse(from),
    until: Date.parse(until),
  }));
  return (
    <figure>
      <svg class="band" role="img" aria-label={label}>
        {ticksOf(span).map(({ at, text }, index) => (
          <g key={at} class={["fourth", "odd", "even", "odd"][index % 4] ?? ""}>
            <line class="tick" x1={x(at)} x2={x(at)} y1="0" y2="92" />
            <text x={x(at)} y="106">
              {text}
            </text>
          </g>
        ))}
        {reached && within(reached) && (
          <rect
            class="reach"
            x={x(reached.from)}
            y="6"
            height="16"
            width={width(reached.from, reached.until)}
          >
            <title>{`any moment from ${shownMinute(new Date(reached.from))} to ${shownMinute(new Date(reached.until))}`}</title>
          </rect>
        )}
        {gaps.filter(within).map(gap => (
          <rect
            key={gap.from}
            class="gap"
            x={x(gap.from)}
            y="3"
            height="22"
            width={width(gap.from, gap.until)}
          >
            <title>{`no moment from ${shownMinute(new Date(gap.from))} to ${shownMinute(new Date(gap.until))}`}</title>
          </rect>
        ))}
        {dots.map(dot => (
          <g key={dot.at}>
            <title>{dot.says}</title>
            {dot.pinned && <Pin x={x(dot.at)} />}
            <Mark x={x(dot.at)} y={48} proof={dot.proof} />
            {dot.copied !== null && (
              <rect class={dot.copied ? "copied" : "uncopied"} x={x(dot.at)} y="71" width="6" height="10" />
            )}
          </g>
        ))}
      </svg>
      <figcaption>{label}</figcaption>
    </figure>
  );
}

/** Each finding has a shape of its own: colours alone would not tell everybody. */
export function Mark({ x, y, proof }: { x: string; y: number; proof: ShownBackup["proof"] }) {
  if (proof !== "bad") return <circle class={proof} cx={x} cy={y} r="5" />;
  return (
    <svg x={x} y={y - 6} width="12" height="12" overflow="visible" aria-hidden="true">
      <path class="bad" d="M-5 1 L5 11 M5 1 L-5 11" />
    </svg>
  );
}

export function Pin({ x }: { x: string }) {
  return (
    <svg x={x} y="30" width="12" height="12" overflow="visible" aria-hidden="true">
      <path class="pin" d="M-5 0 L5 0 L0 9 Z" />
    </svg>
  );
}

/** Days where there are few, else months. In UTC, as everything here. */
function ticksOf({ from, until }: Span): { at: number; text: string }[] {
  const days = (until - from) / DAY_MS;
  const found: { at: number; text: string }[] = [];
  if (days <= 2.5) {
    for (let at = Math.ceil(from / (6 * 3_600_000)) * 6 * 3_600_000; at < until; at += 6 * 3_600_000)
      found.push({ at, text: `${new Date(at).toISOString().slice(11, 13)}:00` });
  } else if (days <= 45) {
    const step = days <= 16 ? 1 : 3;
    for (let at = Math.ceil(from / DAY_MS) * DAY_MS; at < until; at += step * DAY_MS)
      found.push({ at, text: format(at, { weekday: "short", day: "numeric" }) });
  } else {
    const start = new Date(from);
    const step = Math.max(1, Math.ceil(days / 30 / 14));
    for (let month = 1; ; month += step) {
      const at = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + month, 1);
      if (at >= until) break;
      found.push({ at, text: format(at, { month: "short", year: "numeric" }) });
    }
  }
  return found.filter(({ at }) => (until - at) / (until - from) > 0.06);
}

function format(at: number, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }).format(at);
}
