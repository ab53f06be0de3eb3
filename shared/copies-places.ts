/** Where copies of backups are fetched from: the bucket, or the folder over ssh. What an operator types behind `--from`. */
export const COPIES_PLACES = ["s3", "ssh"] as const;

export type CopiesFrom = (typeof COPIES_PLACES)[number];

/** The command that shows the backups that are there, those in the backup directory for null; another stack's where one is given. */
export function listCommand(from: CopiesFrom | null, stack?: string): string {
  const list = stack === undefined ? "npx budgie list" : `npx budgie --stack ${stack} list`;
  if (from === null) return list;
  return from === "s3" ? `${list} --remote` : `${list} --from ${from}`;
}
