import { connect, createServer, type Server } from "node:net";
import { EXIT, Stop } from "./exit-codes.ts";

const ANSWER_WITHIN_MS = 2000;

/**
 * Runs `work` as the only one in this container who does so under `name`; throws a Stop at once, naming the holder, when
 * another one is at it. The lock is an address among Linux' abstract sockets: the kernel takes it back when its holder ends,
 * however the holder ends, so that there is no file of a killed one to be judged stale.
 */
export async function asSoleHolder<T>(name: string, operation: string, work: () => Promise<T>): Promise<T> {
  const server = createServer(asking => asking.on("error", () => undefined).end(operation));
  try {
    await listen(server, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    const holder = (await holderOf(name)) ?? "one that has just ended";
    throw new Stop(
      EXIT.busy,
      `Another operation is at work: ${holder}.`,
      "Wait for it to end, then run the same command again.",
    );
  }
  try {
    return await work();
  } finally {
    server.close();
  }
}

/** What the holder of `name` is doing; null when nobody holds it. */
export function holderOf(name: string): Promise<string | null> {
  return new Promise(resolve => {
    let operation = "";
    const socket = connect(addressOf(name))
      .setEncoding("utf8")
      .on("data", (text: string) => {
        operation += text;
      })
      .on("end", () => resolve(operation))
      .on("error", () => resolve(null));
    // Held, and too busy to say by whom.
    socket.setTimeout(ANSWER_WITHIN_MS, () => {
      socket.destroy();
      resolve("one that does not answer");
    });
  });
}

function listen(server: Server, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(addressOf(name), resolve);
  });
}

function addressOf(name: string): string {
  return `\0budgie:${name}`;
}
