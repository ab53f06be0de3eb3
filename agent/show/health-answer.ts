import type { Verdict } from "../../shared/status-lines.ts";
import { type Board, staleness } from "./board.ts";

/** What a probe is answered. `at` is when the agent looked. */
export interface Health {
  fine: boolean;
  verdict: Verdict;
  problems: string[];
  at: string | null;
}

/** 200 while everything is as it should be and was looked at lately; else 503. That a process answers says nothing. */
export function health(board: Board, now: Date): { status: 200 | 503; body: Health } {
  const stale = staleness(board, now);
  const status = board.seen?.status;
  if (stale !== null || !status) {
    const sentence = stale ?? "";
    const verdict = { level: "unknown", sentence } as const;
    return { status: 503, body: { fine: false, verdict, problems: [sentence], at: status?.at ?? null } };
  }
  const { fine, verdict, problems, at } = status;
  return { status: fine ? 200 : 503, body: { fine, verdict, problems, at } };
}
