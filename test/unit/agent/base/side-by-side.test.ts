import { once } from "node:events";
import { expect, it } from "vitest";
import { sideBySide } from "../../../../agent/base/side-by-side.ts";

/** Goes on until the signal aborts, and then takes its time to end. */
async function untilAborted(signal: AbortSignal, ends: string[]): Promise<never> {
  await once(signal, "abort");
  await new Promise(resolve => setTimeout(resolve, 20));
  ends.push("ended");
  throw signal.reason;
}

it("the first failure ends the others, and is what is thrown once they have ended", async () => {
  const both = sideBySide(new AbortController().signal);
  const ends: string[] = [];
  both.add(untilAborted(both.signal, ends));
  both.add(Promise.reject(new Error("the disk is full")));
  await expect(both.ended()).rejects.toThrow("the disk is full");
  expect(ends).toEqual(["ended"]);
});

it("the given signal ends all of them with its reason", async () => {
  const given = new AbortController();
  const both = sideBySide(given.signal);
  const ends: string[] = [];
  both.add(untilAborted(both.signal, ends));
  both.add(untilAborted(both.signal, ends));
  given.abort(new Error("the lock was lost"));
  await expect(both.ended()).rejects.toThrow("the lock was lost");
  expect(ends).toEqual(["ended", "ended"]);
});

it("what went well is there when all have ended", async () => {
  const both = sideBySide(new AbortController().signal);
  const first = both.add(Promise.resolve(1));
  both.add(Promise.resolve(2));
  await both.ended();
  expect(await first).toBe(1);
});
