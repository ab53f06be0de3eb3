import type { TestAgent } from "../test/support/agent/agent.ts";

export interface Timed {
  seconds: number;
  /** Of the process that the command is, without its children. */
  peakMegabytes: number;
}

/** Runs a shell command in the agent's container. Throws what it said when it fails. */
export async function timed(agent: TestAgent, command: string): Promise<Timed> {
  const script = `
    start=$(cut -d ' ' -f 1 /proc/uptime)
    ${command} &
    pid=$!; peak=0
    while kill -0 $pid 2>/dev/null; do
      now=$(grep VmHWM /proc/$pid/status 2>/dev/null | tr -dc 0-9); peak=\${now:-$peak}; sleep 0.05
    done
    wait $pid || exit 1
    echo $start $(cut -d ' ' -f 1 /proc/uptime) $peak`;
  const { code, stdout, stderr } = await agent.exec(["sh", "-c", script]);
  if (code !== 0) throw new Error(`${command} failed: ${stderr}`);
  const [start = 0, end = 0, kilobytes = 0] = stdout.trim().split(" ").map(Number);
  return { seconds: end - start, peakMegabytes: kilobytes / 1024 };
}

/** Runs both `pairs` times. Whoever goes second finds the caches warmer, so they take turns. */
export async function alternate(
  pairs: number,
  plain: () => Promise<void>,
  own: () => Promise<void>,
): Promise<void> {
  for (let pair = 0; pair < pairs; pair++) {
    for (const turn of pair % 2 === 0 ? [plain, own] : [own, plain]) await turn();
  }
}
