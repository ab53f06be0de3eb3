import { PassThrough } from "node:stream";
import type Docker from "dockerode";
import { describe, expect, it, vi } from "vitest";
import {
  ConnectionLost,
  collectFromContainer,
  collectIfRunning,
  readFromContainer,
} from "../../../engine/run-in-container.ts";

// The looks at the container come at once.
vi.mock("node:timers/promises", () => ({ setTimeout: () => new Promise(setImmediate) }));

/** An engine that never ends a command's answer, and whose container has these runs, one look after the other. */
function silentEngine(runs: { Running: boolean; StartedAt: string }[]): Docker.Container {
  const stream = new PassThrough();
  const look = () => (runs.length > 1 ? runs.shift() : runs[0]);
  const exec = { start: async () => stream, inspect: async () => ({ Running: false, ExitCode: 0 }) };
  return {
    exec: async () => exec,
    inspect: async () => ({ State: look() }),
    modem: { demuxStream: () => undefined },
  } as unknown as Docker.Container;
}

function refusing(error: { statusCode: number; message: string }): Docker.Container {
  return { exec: () => Promise.reject(Object.assign(new Error(error.message), error)) } as never;
}

describe("a command whose answer the engine leaves open", () => {
  it.each([
    ["restarted", { Running: true, StartedAt: "10:05" }],
    ["stopped", { Running: false, StartedAt: "10:00" }],
  ])("ends, and as a lost connection, when its container was %s", async (_, later) => {
    const runs = () => [{ Running: true, StartedAt: "10:00" }, later];
    await expect(collectFromContainer(silentEngine(runs()), ["psql"])).rejects.toThrow(ConnectionLost);
    await expect(readFromContainer(silentEngine(runs()), ["cat"], new PassThrough())).rejects.toThrow(
      "the container ended while the command ran in it",
    );
  });
});

describe("a command in a container that does not run", () => {
  it.each([
    { statusCode: 409, message: "Container is restarting, wait until the container is running" },
    {
      statusCode: 500,
      message: "can only create exec sessions on running containers: container state improper",
    },
    { statusCode: 500, message: "server error - retrieving exec session b94111: no such exec session" },
  ])("is none, whether Docker ($statusCode: 409) or Podman (500) says so", async error => {
    expect(await collectIfRunning(refusing(error), ["psql"])).toBeUndefined();
  });

  it("is an error for any other reason", async () => {
    const broken = refusing({ statusCode: 500, message: "no space left on device" });
    await expect(collectIfRunning(broken, ["psql"])).rejects.toThrow("no space left");
  });
});
