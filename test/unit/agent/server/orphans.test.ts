import { describe, expect, it } from "vitest";
import { orphans } from "../../../../agent/server/orphans.ts";
import type { ProcessEntry } from "../../../../agent/server/processes.ts";

const NOBODY = 5433;
const INIT = { pid: 1, parent: 0, uid: 0, command: ["/sbin/docker-init", "--", "budgie-agent", "serve"] };
const SERVE = { pid: 7, parent: 1, uid: 0, command: ["node", "/usr/local/lib/budgie/agent.cjs", "serve"] };
const client = (pid: number, parent: number, program = "pg_dump", uid = NOBODY): ProcessEntry => ({
  pid,
  parent,
  uid,
  command: [program, "--no-password"],
});

describe("a program that the agent has started", () => {
  it("is at work while a command of the agent is above it", () => {
    const command = {
      pid: 20,
      parent: 0,
      uid: 0,
      command: ["node", "/usr/local/lib/budgie/agent.cjs", "backup"],
    };
    expect(orphans([INIT, SERVE, command, client(21, 20), client(22, 21), client(23, 7)])).toEqual([]);
  });

  it.each(["pg_dump", "pg_dumpall", "psql", "pg_restore"])(
    "is left when %s has only the init above it",
    program => {
      expect(orphans([INIT, SERVE, client(21, 1, program), client(22, 21, program)])).toEqual([21, 22]);
    },
  );

  it("is nobody's business when an operator has started it, in a session of his own or as another user", () => {
    const shell = { pid: 30, parent: 0, uid: 0, command: ["sh"] };
    expect(orphans([INIT, SERVE, shell, client(31, 30), client(32, 0), client(33, 1, "psql", 0)])).toEqual(
      [],
    );
  });

  it("is not told from the agent's own where the agent is the first process", () => {
    const first = { ...SERVE, pid: 1, parent: 0 };
    expect(orphans([first, client(21, 1)])).toEqual([]);
  });

  it("is no other program", () => {
    expect(orphans([INIT, SERVE, client(21, 1, "sleep")])).toEqual([]);
  });
});
