import { describe, expect, it } from "vitest";
import { judgeReplicas, type Replica, shownReplicas } from "../../../../agent/status/replicas.ts";

const MB = 2 ** 20;
const replica = (differs: Partial<Replica> = {}): Replica => ({
  name: "db2",
  state: "streaming",
  lagBytes: 0,
  lagSeconds: null,
  synchronous: false,
  walStatus: "reserved",
  ...differs,
});
const judged = (...replicas: Replica[]) => judgeReplicas(replicas, "docker logs budgie-replica");

describe("replicas", () => {
  it("that follow are fine, and are shown with what would be lost", () => {
    expect(judged(replica({ lagBytes: 2 * MB }))).toEqual({ problems: [], notes: [] });
    expect(shownReplicas([replica({ lagBytes: 2 * MB, lagSeconds: 0.2, synchronous: true })])).toBe(
      "db2 streaming, 2M behind, shown there after 0.2 s, commits wait for it",
    );
    expect(shownReplicas([replica()])).toBe("db2 streaming, has everything");
  });

  it("that are far behind are noted", () => {
    expect(judged(replica({ state: "catchup", lagBytes: 300 * MB })).notes.join()).toContain("300M behind");
  });

  it("that are away are a problem, with the command that shows why", () => {
    const { problems } = judged(replica({ state: null, lagBytes: 5 * MB, walStatus: "extended" }));
    expect(problems.join()).toContain("The replica db2 is away, and 5M behind.");
    expect(problems.join()).toContain("docker logs budgie-replica");
  });

  it("that were away for too long copy everything anew, which is said", () => {
    const lost = replica({ state: null, lagBytes: null, walStatus: "lost" });
    expect(judged(lost).problems).toHaveLength(1);
    expect(judged(lost).problems.join()).toContain("budgie:replicaKeepMegabytes");
    expect(shownReplicas([lost])).toBe("db2 must be copied anew");
  });

  it("that are being copied are said to be, and are no problem", () => {
    const copied = replica({ state: "backup", lagBytes: null });
    expect(judged(copied)).toEqual({ problems: [], notes: [] });
    expect(shownReplicas([copied])).toBe("db2 is being copied");
  });

  it("hold up every commit only when none of those that must confirm is there", () => {
    const away = replica({ name: "db3", state: null, synchronous: true });
    const waits = /Every commit waits .* config set budgie:replicaSynchronous false/;
    expect(judged(away).problems.join()).toMatch(waits);
    expect(judged(away, replica({ synchronous: true })).problems.join()).not.toMatch(waits);
  });
});
