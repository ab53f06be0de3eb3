import { componentProviderHost } from "@pulumi/pulumi/provider/experimental/index.js";
import { PostgresWithBackups } from "./postgres-with-backups.ts";

/** Ends with the process, which Pulumi ends. */
await componentProviderHost({
  name: "budgie",
  dirname: import.meta.dirname,
  components: [PostgresWithBackups],
});
