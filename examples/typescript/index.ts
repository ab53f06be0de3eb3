import * as budgie from "@pulumi/budgie";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

const database = new budgie.PostgresWithBackups("database", {
  namePrefix: "shop",
  databaseName: "shop",
  backupDir: "./backups",
});

// The application waits for the database, because its address is known only when that answers. It gets the password as a file:
// everyone who may call `docker inspect` reads a container's environment.
const image = new docker.RemoteImage("shop", { name: "registry.example.com/shop:1.4.2", keepLocally: true });
new docker.Container(
  "shop",
  {
    name: "shop-app",
    image: image.imageId,
    networksAdvanced: [{ name: database.networkName }],
    envs: [pulumi.interpolate`PGHOST=${database.host}`, "PGPASSWORD_FILE=/run/secrets/password"],
    uploads: [{ file: "/run/secrets/password", content: database.password, permissions: "0444" }],
    ports: [{ internal: 3000, external: 3000, ip: "127.0.0.1" }],
  },
  // On `pulumi destroy` the application goes first, and then the gate takes its backup.
  { dependsOn: database },
);

export const firstBackup = database.firstBackup;
