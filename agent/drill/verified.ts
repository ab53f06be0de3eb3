import { humanSize, type Reporter } from "../base/reporter.ts";
import type { ReadDump } from "../dump/inspect.ts";
import { NOT_AUTHENTIC } from "../manifest/flaw.ts";
import { totalRows } from "../manifest/manifest.ts";

export interface Verified {
  name: string;
  good: boolean;
  /** Why it is not; null when it is. */
  why: string | null;
}

/** Says what was found of a backup that is whole and as its manifest says, where it has one. */
export function tellWhole(
  { name, authentic, manifest }: { name: string; authentic: boolean; manifest: unknown },
  { fingerprint: { tables }, bytes }: ReadDump,
  report: Reporter,
): Verified {
  const said = `${tables.length} tables, ${totalRows(tables)} rows, ${humanSize(bytes)}`;
  if (!manifest) {
    report.warn(`${name}: whole (${said}), but without a manifest there is nothing to compare it with`);
    return { name, good: false, why: "no manifest" };
  }
  if (!authentic) {
    report.warn(`${name}: whole (${said}), and as its manifest says, but ${NOT_AUTHENTIC}`);
    return { name, good: false, why: NOT_AUTHENTIC };
  }
  report.done(`${name}: ${said}, all as recorded`);
  return { name, good: true, why: null };
}

export function tellNotGood(name: string, why: string, report: Reporter): Verified {
  report.warn(why);
  return { name, good: false, why };
}
