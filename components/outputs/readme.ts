/** What the stack's page tells of it. No secret is in it. */
export interface StackFacts {
  stack: string;
  url: string;
  /** What `npx budgie` is typed as, e.g. `npx budgie --stack budgie-prod`. */
  budgie: string;
  containers: { api: string; agent: string };
  /** Its name, and where it is. */
  database: string;
  backups: { directory: string; taken: string };
  /** Where every backup is sent to as well. */
  copies: string;
}

/** The stack's README in Markdown: Pulumi Cloud shows the output of that name, and `pulumi stack output readme` prints it. */
export function stackReadme(facts: StackFacts): string {
  const { stack, url, budgie, containers, database, backups, copies } = facts;
  return `# Budgie, stack \`${stack}\`

| what | where |
| --- | --- |
| the API | <${url}>, container \`${containers.api}\` |
| the database | ${database} |
| the backups | \`${backups.directory}\`, taken by container \`${containers.agent}\`: ${backups.taken} |
| their copies | ${copies} |

On the stack's machine, in the project's folder:

\`\`\`bash
${budgie} status                  # is everything as it should be, and when is the next backup?
${budgie} backup                  # take one now
${budgie} list                    # the backups, newest first
${budgie} restore latest          # load the newest, compare, swap it in
${budgie} restore --undo          # back to what was there before the restore
npm run pulumi -- stack output firstBackup   # the backup that the first \`up\` took and proved
\`\`\`

A restore saves what is there first, and keeps it. \`pulumi destroy\` takes a backup and keeps the data.
`;
}
