import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { CopiesFrom } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { CopiesPlace } from "../copies/place.ts";
import { readerFor } from "./bucket-reader.ts";
import type { ReaderOptions } from "./options.ts";

/** Runs `work` with the copies in the bucket, or in the folder over ssh for as long as it takes. Throws a Stop. */
export async function withCopies<T>(
  settings: AgentSettings,
  from: CopiesFrom,
  options: ReaderOptions,
  work: (copies: CopiesPlace) => Promise<T>,
): Promise<T> {
  const { inBucket, overSsh } = await import("../copies/place.ts");
  if (from === "s3") return work(inBucket(await readerFor(settings, options)));
  const { takeIdentities } = await import("../encryption/age-identity.ts");
  const { withSshConnection } = await import("../ssh/connection.ts");
  const identities = await takeIdentities(options.identity);
  const server = requireSsh(settings);
  return withSshConnection(server, connection => work(overSsh(connection, identities))).catch(
    (error: unknown) => {
      throw error instanceof Stop && error.code === EXIT.storeUnreachable ? notRead(error) : error;
    },
  );
}

/** What helps whoever sends does not help whoever fetches. */
function notRead({ code, message }: Stop): Stop {
  return new Stop(
    code,
    message,
    "Run the same command again when it answers. `npx budgie list` shows what is on this machine.",
  );
}

function requireSsh({ ssh }: AgentSettings): NonNullable<AgentSettings["ssh"]> {
  if (ssh !== null) return ssh;
  throw new Stop(
    EXIT.usage,
    "This stack has no folder over ssh: budgie:offsiteSsh is not set.",
    "Set budgie:offsiteSsh, budgie:offsiteSshKey and budgie:offsiteSshHostKey, then: npm run pulumi -- up",
  );
}
