import { connect, createServer, type Server } from "node:net";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

const ANSWER_WITHIN_MS = 2000;

/**
 * Runs `work` while holding the lock `name` of this container. Throws a Stop at once, naming the holder, when another process has
 * it. The lock is an address among Linux' abstract sockets. The kernel takes it back however its holder ends, so a killed holder
 * leaves no file behind that somebody must judge stale.
 */
export async function withContainerLock<T>(
  name: string,
  operation: string,
  work: () => Promise<T>,
): Promise<T> {
  const server = createServer(asking => asking.on("error", () => undefined).end(operation));
  try {
    await listen(server, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    const holder = (await containerLockHolder(name)) ?? "one that has just ended";
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
export function containerLockHolder(name: string): Promise<string | null> {
  return new Promise(resolve => {
    let operation = "";
    const socket = connect(addressOf(name))
      .setEncoding("utf8")
      .on("data", (text: string) => {
        operation += text;
      })
      .on("end", () => resolve(operation))
      .on("error", () => resolve(null));
    // It is held, and the holder is too busy to say who it is.
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
