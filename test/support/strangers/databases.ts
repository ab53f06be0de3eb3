import { TEST_MAJOR } from "../servers/major.ts";
import { COLUMN_ORDERS } from "./column-orders.ts";
import { COMMAND_TEXT } from "./command-text.ts";
import type { StrangerDatabase } from "./database.ts";
import { NEWER } from "./newer.ts";
import { PHYSICAL_ORDERS } from "./physical-orders.ts";
import { REWRITTEN_TEXT } from "./rewritten-text.ts";
import { SETTINGS } from "./settings.ts";
import { SHAPES } from "./shapes.ts";

/** Databases of other people, by what is unusual in them. */
export const STRANGER_DATABASES: Record<string, readonly StrangerDatabase[]> = {
  "text that PostgreSQL rewrites": REWRITTEN_TEXT,
  "column orders": COLUMN_ORDERS,
  "physical orders and widths": PHYSICAL_ORDERS,
  "text that looks like commands": COMMAND_TEXT,
  "encodings and settings": SETTINGS,
  "further shapes": SHAPES,
  "what newer versions of PostgreSQL can do": NEWER,
};

/** Scripts that share one database. */
export interface StrangerGroup {
  name: string;
  /** The options of CREATE DATABASE. */
  words: string;
  /** For the server's psql. Each member runs in its own session, and its name goes to standard error first. */
  script: string;
  undo: string;
}

/** As few databases as possible, because each is backed up, drilled and restored in every format; or one per script. */
export function strangerGroups(oneEach: boolean): StrangerGroup[] {
  return Object.entries(STRANGER_DATABASES).flatMap(([kind, all]) => {
    const shared = new Map<string, StrangerDatabase[]>();
    for (const one of all.filter(({ from = 0 }) => from <= Number(TEST_MAJOR))) {
      const key = oneEach || one.apart ? one.name : (one.database ?? "");
      shared.set(key, [...(shared.get(key) ?? []), one]);
    }
    return [...shared].map(([key, members]) => ({
      name: key === "" ? kind : `${kind}: ${key}`,
      words: members[0]?.database ?? "",
      script: members
        .map(({ name, sql }) => `\\connect -\n\\warn '${name.replaceAll("'", "''")}'\n${sql}`)
        .join("\n"),
      undo: members.map(({ undo = "" }) => `${undo};`).join("\n"),
    }));
  });
}
