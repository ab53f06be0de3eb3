import type { Progress } from "../base/reporter.ts";

/** Takes the next part of a dump. It must not keep the memory beyond its own end. */
export type TakePart = (part: Buffer) => void | Promise<void>;

export interface ReadOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Whether what pg_restore makes of an archive leaves out whose everything is, and who may do what. @default false */
  withoutOwners?: boolean;
  /** Whether the sha256 of the bytes is wanted too. @default false */
  hashed?: boolean;
}
