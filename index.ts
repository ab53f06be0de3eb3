import * as pulumi from "@pulumi/pulumi";
import type { Backend } from "./components/backend.ts";
import { WHOLE_PROGRAM } from "./components/containers/within.ts";
import {
  backupsOutput,
  databaseOutput,
  nextStepsOutput,
  offsiteOutput,
  readmeOutput,
} from "./components/outputs/outputs.ts";
import { prepare } from "./components/prepare/prepare.ts";
import { declareStack } from "./components/whole/declare-stack.ts";
import { readSettings } from "./settings.ts";

const prepared = await prepare(readSettings(), WHOLE_PROGRAM);
const declared = await declareStack(prepared, WHOLE_PROGRAM);

// The stack's own settings always ask for the API.
const backend = declared.backend as Backend;
const deployed = { ...prepared, ...declared, backend };
export const url = backend.url;
export const backupDir = prepared.backupPlace.source;
export const database = databaseOutput(deployed);
export const backups = backupsOutput(deployed);
export const offsite = offsiteOutput(deployed, prepared.storeLacks);
/** Reads the bucket, and cannot change it where the store has such keys: for `npx budgie`, which restores with it. */
export const objectStoreReader = declared.bucket && pulumi.secret(declared.bucket.reader);
export const firstBackup = declared.first?.proven;
export const nextSteps = nextStepsOutput(deployed);
export const readme = readmeOutput(deployed);
