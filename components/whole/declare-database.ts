import type * as pulumi from "@pulumi/pulumi";
import { gateOfOlderStacks } from "../backup-gates.ts";
import type { Place } from "../containers/place.ts";
import { underneath, type Within } from "../containers/within.ts";
import { type AnyDatabase, Database, type DatabaseReplicas } from "../database.ts";
import type { Prepared } from "../prepare/prepare.ts";

/**
 * The database that the settings name. Of one that Amazon runs, the AWS provider is loaded; a stack with a container of its own does
 * not start its plugin.
 */
export async function declareDatabase(
  { settings, passwordAgain, newVolume, managedLook }: Prepared,
  place: Place,
  replicas: DatabaseReplicas | undefined,
  within: Within,
  onEngine: pulumi.ComponentResourceOptions,
): Promise<AnyDatabase> {
  const { name } = within;
  const asked = {
    databaseName: settings.databaseName,
    version: settings.postgresVersion,
    password: settings.databasePassword,
  };
  if (settings.managed) {
    const { ManagedDatabase } = await import("../managed-database.ts");
    return new ManagedDatabase(
      name("database"),
      { ...asked, place, settings: settings.managed, look: managedLook },
      underneath(within),
    );
  }
  return new Database(
    name("database"),
    {
      ...asked,
      place,
      passwordAgain,
      port: settings.databasePort,
      destroyGraceSeconds: settings.destroyGraceSeconds,
      newVolume,
      pointInTime: settings.backupPolicy.pointInTime,
      memoryMegabytes: settings.databaseMemoryMegabytes,
      replicas,
      after: gateOfOlderStacks(
        place.engine.host,
        place.namePrefix,
        name("backup-gate-of-older-stacks"),
        underneath(within),
      ),
    },
    onEngine,
  );
}
