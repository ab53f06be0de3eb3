/** What a command's exit code means. The table in docs/commands.md says the same. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unusableBackup: 3,
  busy: 4,
  databaseUnreachable: 5,
  noSpace: 6,
  comparisonDiffers: 7,
  engineOrContainerMissing: 8,
  /** A decision of the operator's is needed first; the message names the flag. */
  notConfirmed: 9,
  notFine: 10,
  anotherDatabase: 11,
  storeUnreachable: 12,
  storeRefused: 13,
  /** Told to end by a signal, before it was done. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end that the operator can act on: what happened and why, and what to type next. */
export class Stop extends Error {
  readonly code: ExitCode;
  readonly next: string | undefined;

  constructor(code: ExitCode, message: string, next?: string) {
    super(message);
    this.code = code;
    this.next = next;
  }
}
