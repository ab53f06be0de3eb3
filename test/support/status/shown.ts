import type { Seen } from "../../../agent/show/board.ts";
import type { ShownBackup } from "../../../agent/show/shown-backups.ts";
import { statusLine, verdictOf } from "../../../shared/status-lines.ts";
import { shownBackup, status } from "./status.ts";

const HOUR_MS = 3_600_000;
const ago = (hours: number) => new Date(Date.now() - hours * HOUR_MS).toISOString();

/** A stack in its second year: a backup each night, a proof each week, one bad, one pinned, one not sent, a gap, and something wrong. */
export function ofAYear(): Seen {
  const backups = Array.from({ length: 370 }, (_, day): ShownBackup => {
    const hours = day * 24 + 5;
    const grown = 9_000_000 - day * 15_000;
    const proof =
      day % 7 === 1
        ? { proof: "proven" as const, provenAt: ago(hours - 1), provenSeconds: 12 - day / 50 }
        : {};
    return shownBackup(hours, {
      bytes: grown,
      seconds: grown / 2_000_000,
      ...proof,
      ...(day === 4
        ? { proof: "bad", why: "failed its drill of last week: table public.entries has other rows" }
        : {}),
      ...(day === 9 ? { pinned: true, reasonToStay: "pinned until 2027-03-31" } : {}),
      ...(day === 0
        ? { copies: [{ place: "http://budgie-object-store:9000/budgie-backups", at: null }] }
        : {}),
    });
  });
  const lines = [
    statusLine("database", {
      figure: "budgie_dev, 8 tables, 8.3M, 7 of 100 connections, checksums off, identity 7389041234567890123",
    }),
    statusLine("disk", { figure: "21G free for ./backups" }),
    statusLine("backup", { figure: `${backups[0]?.name}, 5 hours ago (scheduled), 8.6M in 4.5 s` }),
    statusLine("proven", { figure: `${backups[1]?.name}, proven 1 day ago in 12 s` }),
    statusLine("catalogue", {
      figure: "369 in ./backups",
      problems: [
        `These files do not count as backups: ${backups[4]?.name} (failed its drill of last week: table public.entries has other rows).`,
      ],
      next: "npx budgie list",
    }),
    statusLine("copies", {
      figure: "http://budgie-object-store:9000/budgie-backups has all but 1",
      problems: [
        "1 backup is not in http://budgie-object-store:9000/budgie-backups: the store cannot be reached. Send now: npx budgie push",
      ],
    }),
    statusLine("point-in-time", {
      figure: "every moment of 6 days but for 1 gap; WAL is received, 0B behind, base backups: 1",
    }),
    statusLine("slots", { figure: "budgie_point_in_time holds 16K" }),
    statusLine("schedule", { figure: "0 2 * * * (UTC), next backup tonight" }),
  ];
  const verdict = verdictOf(lines);
  const reach = { from: ago(6.2 * 24), until: ago(3.1 * 24) };
  return {
    status: status({
      lines,
      verdict,
      pointInTime: {
        earliest: ago(9 * 24),
        latest: ago(0.01),
        gaps: [{ from: reach.from, until: ago(5.5 * 24) }],
        receiving: true,
        slotLagBytes: 0,
        baseBackups: 2,
        unsent: { segments: 0, baseBackups: 0 },
        damaged: 0,
        drill: null,
      },
    }),
    backups,
  };
}

/** A stack of yesterday, in which all is well. */
export function ofADay(): Seen {
  const proven = { proof: "proven" as const, provenAt: ago(22), provenSeconds: 3.1 };
  const backups = [shownBackup(5), shownBackup(14, { reason: "manual" }), shownBackup(22, proven)];
  const lines = [
    statusLine("database", {
      figure: "budgie_dev, 8 tables, 8.3M, 7 of 100 connections, checksums off, identity 7389041234567890123",
    }),
    statusLine("backup", { figure: `${backups[0]?.name}, 5 hours ago (scheduled), 3.2M in 2.4 s` }),
    statusLine("proven", { figure: `${backups[2]?.name}, proven 22 hours ago in 3.1 s` }),
    statusLine("copies", { figure: "http://budgie-object-store:9000/budgie-backups has every backup" }),
  ];
  const well =
    "the database can be brought back as it was 5 hours ago, and the last proof by a restore is 22 hours old";
  return { status: status({ lines, verdict: verdictOf(lines, well), pointInTime: null }), backups };
}

/** A stack that has just come up, with no backup yet. */
export function ofNone(): Seen {
  const lines = [
    statusLine("database", {
      figure: "budgie_dev, 0 tables, 7.4M, 2 of 100 connections, checksums off, identity 7389041234567890123",
    }),
    statusLine("backup", { figure: "none", problems: ["There is no backup. Take one: npx budgie backup"] }),
  ];
  return { status: status({ lines, verdict: verdictOf(lines), pointInTime: null }), backups: [] };
}

/** Nightly and hourly backups of years. */
export function ofTwoThousand(): Seen {
  const backups = Array.from({ length: 2000 }, (_, index) =>
    shownBackup(
      index * 12,
      index % 14 === 1 ? { proof: "proven", provenAt: ago(index * 12 - 1), provenSeconds: 9 } : {},
    ),
  );
  return { status: ofADay().status, backups };
}
