import type Docker from "dockerode";

/** How psql in the database's container logs in: as the role that the server was made with, in the database that was made with it. */
export async function databaseLogin(container: Docker.Container): Promise<string[]> {
  const { Env: env = [] } = (await container.inspect()).Config;
  const of = (name: string) => env.find(line => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
  return ["-U", of("POSTGRES_USER"), "-d", of("POSTGRES_DB")];
}
