// What Pulumi runs before it replaces or removes the database: takes a backup, and fails when there is none.

import { type BeforeChange, backupBeforeChange } from "./steps/backup-before-change.ts";
import { runStep } from "./steps/main.ts";

/** A household's ledger is dumped in seconds; what takes longer than this is stuck. */
const DEADLINE_SECONDS = 3600;

await runStep<BeforeChange>(DEADLINE_SECONDS, backupBeforeChange);
