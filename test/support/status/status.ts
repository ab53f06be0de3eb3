import type { ShownBackup } from "../../../agent/show/shown-backups.ts";
import type { Status } from "../../../agent/status/status.ts";
import { statusLine, verdictOf } from "../../../shared/status-lines.ts";

/** A status in which everything is known, and `differs` in what a test is about. */
export function status(differs: Partial<Status> = {}): Status {
  const at = differs.at ?? new Date().toISOString();
  const ago = (hours: number) => new Date(Date.parse(at) - hours * 3_600_000).toISOString();
  const done = (operation: string, hours: number) => ({
    operation,
    startedAt: ago(hours),
    finishedAt: ago(hours - 0.01),
    outcome: "done" as const,
    message: null,
  });
  const lines = differs.lines ?? [
    statusLine("database", { figure: "budgie_dev, 8 tables, 8.3M" }),
    statusLine("backup", { figure: "budgie_20261122_020000.sql, 5 hours ago" }),
    statusLine("proven", { figure: "budgie_20261121_020000.sql, proven 1 day ago" }),
  ];
  const verdict =
    differs.verdict ?? verdictOf(lines, "the database can be brought back as it was 5 hours ago");
  return {
    verdict,
    lines,
    fine: verdict.level === "OK" || verdict.level === "WARN",
    allIsWell: "",
    problems: lines.flatMap(({ problems }) => problems),
    warnings: lines.flatMap(({ notes }) => notes),
    stack: "dev",
    at,
    database: { name: "budgie_dev", systemIdentifier: "7389041234567890123", bytes: 8_700_000, tables: 8 },
    server: {
      version: "16.14",
      startedAt: ago(72),
      connections: 7,
      maxConnections: 100,
      checksums: true,
      damagedPages: 0,
      slots: [
        {
          name: "budgie_point_in_time",
          kind: "physical",
          database: null,
          active: true,
          retainedBytes: 1024,
          walStatus: "reserved",
        },
      ],
      replicas: [
        {
          name: "db2_example_com",
          state: "streaming",
          lagBytes: 2048,
          lagSeconds: 0.2,
          synchronous: false,
          walStatus: "reserved",
        },
      ],
    },
    previousDatabases: [],
    backups: {
      directory: "./backups",
      count: 12,
      freeBytes: 20_000_000_000,
      newest: {
        name: "budgie_20261122_020000.sql",
        startedAt: ago(5),
        finishedAt: ago(4.99),
        bytes: 3_400_000,
        reason: "scheduled",
      },
      newestProven: {
        name: "budgie_20261121_020000.sql",
        startedAt: ago(29),
        provenAt: ago(28.9),
        seconds: 12.5,
      },
    },
    lastRun: { ...done("backup", 5), outcome: "failed", message: "No space." },
    lastDrill: done("drill", 28.9),
    lastPointInTimeDrill: null,
    lastRestore: done("restore", 100),
    refresh: { from: "prod", source: "../prod/backups", next: { at: ago(-40), due: ago(-40) } },
    lastRefresh: done("refresh from prod", 128),
    collectors: {
      database: true,
      server: true,
      backups: true,
      disk: true,
      copies: true,
      schedule: true,
      "point-in-time": true,
    },
    next: { at: ago(-19), due: ago(-19), why: "due" },
    pointInTime: {
      earliest: ago(24 * 6),
      latest: ago(0.01),
      gaps: [],
      receiving: true,
      slotLagBytes: 0,
      baseBackups: 1,
      unsent: { segments: 0, baseBackups: 0 },
      damaged: 0,
      drill: {
        at: ago(20),
        outcome: "good",
        why: null,
        next: null,
        backup: "budgie_20261121_020000.sql",
        base: "20261119T020000Z",
        moment: ago(29),
        serverVersion: "16.14",
        seconds: 14,
        notChecked: null,
      },
    },
    recovery: { pointAt: ago(0.01), seconds: 12.5 },
    versions: { server: "16.14", pgDump: "16.14", node: "24.1.0" },
    offsite: {
      kind: "local",
      store: "http://budgie-object-store:9000/budgie-backups",
      missing: 0,
      lastAttempt: { ...done("serve", 5), doneAt: ago(5) },
    },
    offsiteSsh: {
      target: "ssh://budgie@nas/volume1/budgie",
      missing: 0,
      lastAttempt: { ...done("serve", 5), doneAt: ago(5) },
    },
    ...differs,
  };
}

/** A backup of `hoursAgo`, as it is shown. */
export function shownBackup(hoursAgo: number, differs: Partial<ShownBackup> = {}): ShownBackup {
  const at = new Date(Date.now() - hoursAgo * 3_600_000).toISOString();
  return {
    name: `budgie_${at.slice(0, 19).replace(/[-:]/g, "").replace("T", "_")}.sql`,
    at,
    reason: "scheduled",
    bytes: 3_400_000,
    seconds: 2.4,
    tables: 8,
    rows: 12_000,
    proof: "unproven",
    why: null,
    provenAt: null,
    provenSeconds: null,
    pinned: false,
    copies: [{ place: "http://budgie-object-store:9000/budgie-backups", at }],
    stays: true,
    reasonToStay: "of the newest 7 days",
    ...differs,
  };
}
