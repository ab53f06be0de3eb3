import type { RunAs } from "../base/child-process.ts";
import { programTls, type Reached } from "./elsewhere.ts";
import { managedProgramTls, rightsOf } from "./managed.ts";
import { NOBODY } from "./nobody.ts";
import { ownPlaceEnvironment } from "./own-place.ts";
import { withPassfile } from "./passfile.ts";
import { type SessionRights, sessionOptions } from "./session-settings.ts";

/** For a program that asks no server. */
export function withoutServer(): RunAs {
  return { ...NOBODY, env: environment() };
}

/** Another role than the stack's own. */
export interface Login {
  user: string;
  password: string;
  rights: SessionRights;
}

/**
 * Runs `work` with what psql, pg_dump and pg_restore need to reach the stack's server, or the other one that the settings name: its
 * address, the settings of every session of the agent, and, for as long as `work` lasts, a passfile of their own. They get nothing
 * else of the agent's environment.
 */
export function withServerClient<T>(
  settings: Reached,
  login: Login | null,
  work: (client: RunAs) => Promise<T>,
): Promise<T> {
  const { host, port, user, elsewhere } = settings;
  return withPassfile(NOBODY, login?.password ?? elsewhere?.password ?? null, async passfile =>
    work({
      ...NOBODY,
      env: {
        ...environment(),
        // Another role may not replicate, and so has no such place.
        ...(login || elsewhere ? {} : await ownPlaceEnvironment()),
        ...(elsewhere ? programTls(elsewhere) : managedProgramTls(settings)),
        PGHOST: host,
        PGPORT: String(port),
        PGUSER: login?.user ?? user,
        PGPASSFILE: passfile,
        PGOPTIONS: sessionOptions(login?.rights ?? rightsOf(settings)),
      },
    }),
  );
}

function environment(): NodeJS.ProcessEnv {
  // The agent looks at what they say, so they speak English.
  return { PATH: process.env.PATH, LC_ALL: "C" };
}

/** The same, with more settings for one kind of session. */
export function withOptions(client: RunAs, settings: Readonly<Record<string, string>>): RunAs {
  const also = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  return { ...client, env: { ...client.env, PGOPTIONS: [client.env.PGOPTIONS, ...also].join(" ") } };
}
