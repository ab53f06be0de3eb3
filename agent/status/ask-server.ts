import type { AgentSettings } from "../../shared/agent-settings.ts";
import { findLeftovers } from "../operation/leftovers.ts";
import {
  type PreparedTransaction,
  preparedTransactions,
  type SlotOfSetAside,
  slotsOfSetAside,
} from "../restore/in-the-way.ts";
import { collationWarnings } from "../server/collation-version.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { describeCrowd, readCrowd } from "../server/crowd.ts";
import { lockHolder } from "../server/database-lock.ts";
import { type SetAside, setAsideDatabases } from "../server/set-aside.ts";
import { readServerFigures, type ServerFigures } from "./server-figures.ts";

interface AtServer {
  /** The databases that restores set aside. */
  aside: SetAside[];
  /** Logical slots that these left behind. */
  slots: SlotOfSetAside[];
  prepared: PreparedTransaction[];
  collation: string[];
  figures: ServerFigures;
  /** Why no client gets in, if that is so. */
  crowd: string[];
  /** Whether an operation is at work at this moment. */
  atWork: boolean;
  /** What killed operations have left; nothing while one is at work, whose it may be. */
  left: string[];
}

/** Everything that one session tells. */
export async function askServer(settings: AgentSettings): Promise<AtServer> {
  const session = await connectToMaintenance(settings, "budgie status");
  try {
    const atWork = (await lockHolder(session)) !== null;
    const left = atWork ? [] : await findLeftovers(session, settings);
    // One may have begun meanwhile.
    const begun = left.length > 0 && (await lockHolder(session)) !== null;
    const crowd = await readCrowd(session);
    return {
      crowd: crowd === null ? [] : [describeCrowd(crowd)],
      atWork: atWork || begun,
      left: begun ? [] : left,
      aside: await setAsideDatabases(session, settings.database),
      slots: await slotsOfSetAside(session, settings.database),
      prepared: await preparedTransactions(session, settings.database),
      collation: await collationWarnings(session, settings.database),
      figures: await readServerFigures(session),
    };
  } finally {
    await session.end();
  }
}
