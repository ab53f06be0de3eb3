/** What survives what: the table of docs/guide.md, in short. A test holds the two together. */
export const SURVIVAL: readonly { you: string; data: "stays" | "gone" | "replaced"; more: string }[] = [
  { you: "restart", data: "stays", more: "" },
  { you: "stop and start", data: "stays", more: "" },
  { you: "deploy new code", data: "stays", more: "the database's container is not even restarted" },
  { you: "remove a container by hand", data: "stays", more: "npm run pulumi -- up --refresh makes it again" },
  {
    you: "have another tool make the containers again",
    data: "stays",
    more: "npm run up makes them its own again",
  },
  { you: "a new database image", data: "stays", more: "" },
  { you: "change the password", data: "stays", more: "same container" },
  { you: "reboot", data: "stays", more: "the containers start again with the engine" },
  { you: "take everything down", data: "stays", more: "the volume is kept, and so is the bucket" },
  { you: "restore a backup", data: "replaced", more: "and kept under another name" },
  { you: "look into a backup, copy one table out of it", data: "stays", more: "" },
  { you: "another stack's data here, masked", data: "replaced", more: "and kept under another name" },
  { you: "change the schema", data: "stays", more: "also when the migration fails" },
  { you: "a fresh start", data: "gone", more: "but for the backups, one of which is proven" },
  { you: "remove the volume", data: "gone", more: "but for the backups" },
  { you: "remove all unused volumes", data: "gone", more: "but for ./backups, when the stack is down" },
  {
    you: "remove or move the backup directory",
    data: "stays",
    more: "the backups are gone, but for the copies",
  },
];
