import type { AlertTarget } from "../../shared/alert-url.ts";

export interface Message {
  kind: "wrong" | "right" | "test" | "start";
  stack: string;
  /** One sentence that says it all. */
  sentence: string;
  /** More of them, for who has room. */
  problems: readonly string[];
  at: string;
}

/** A request of HTTP. */
export interface Delivery {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  body: string | null;
}

/** What these services take of a text. */
const LONGEST = 1800;

const TITLES: Record<Message["kind"], string> = {
  wrong: "something is wrong",
  right: "everything is as it should be again",
  test: "a test",
  start: "a backup begins",
};

export function titleOf({ kind, stack }: Message): string {
  return `Budgie, stack ${stack}: ${TITLES[kind]}`;
}

export function textOf(message: Message): string {
  const { kind, sentence, problems } = message;
  const more = kind === "wrong" ? problems.map(problem => `- ${problem}`) : [];
  return cut([sentence, ...more, ...(kind === "wrong" ? ["Look: npx budgie status"] : [])].join("\n"));
}

/** The message as the target takes it. null: it takes no such message. */
export function deliveryOf({ shape, url }: AlertTarget, message: Message): Delivery | null {
  const { kind } = message;
  const title = titleOf(message);
  const text = textOf(message);
  const json = (value: object): Delivery => ({
    method: "POST",
    url,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value),
  });
  const plain = (to: string, headers: Record<string, string> = {}): Delivery => ({
    method: "POST",
    url: to,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
    body: text,
  });
  switch (shape) {
    case "slack":
      return json({ text: `*${title}*\n${text}` });
    case "discord":
      return json({ content: `**${title}**\n${text}`, allowed_mentions: { parse: [] } });
    case "ntfy":
      return plain(url, {
        title,
        priority: kind === "wrong" ? "high" : "default",
        tags: kind === "wrong" ? "warning" : "white_check_mark",
      });
    case "healthchecks":
      return plain(
        appended(
          url,
          kind === "wrong" ? "/fail" : kind === "start" ? "/start" : kind === "test" ? "/log" : "",
        ),
      );
    case "uptime-kuma":
      return kind === "start" ? null : { method: "GET", url: kumaUrl(url, message), headers: {}, body: null };
    default:
      return json({ title, ...message });
  }
}

function kumaUrl(url: string, { kind, sentence }: Message): string {
  const push = new URL(url);
  push.searchParams.set("status", kind === "wrong" ? "down" : "up");
  push.searchParams.set("msg", sentence.slice(0, 200));
  return push.href;
}

function appended(url: string, path: string): string {
  const parsed = new URL(url);
  parsed.pathname = parsed.pathname.replace(/\/$/, "") + path;
  return parsed.href;
}

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}
