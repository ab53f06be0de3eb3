/** How a message is worded for whoever takes it. */
export type AlertShape = "ntfy" | "slack" | "discord" | "healthchecks" | "uptime-kuma" | "mail" | "json";

/** Where an alert goes. DANGER: the address is a secret, with a token in it; `shown` is what may be printed. */
export interface AlertTarget {
  shape: AlertShape;
  url: string;
  shown: string;
}

const NAMED: Record<string, AlertShape> = {
  "ntfy:": "ntfy",
  "slack:": "slack",
  "discord:": "discord",
  "healthchecks:": "healthchecks",
  "kuma:": "uptime-kuma",
  "json:": "json",
};

export function splitAlertUrls(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

/** `ntfy+https://ntfy.example.com/budgie` says its shape; known services are known by their names. null: it is none. */
export function parseAlertUrl(text: string): AlertTarget | null {
  const [, prefix, rest = ""] = /^(?:([a-z]+)\+)?((?:https?|smtps?):\/\/\S+)$/.exec(text) ?? [];
  if (!URL.canParse(rest)) return null;
  const url = new URL(rest);
  const named = prefix === undefined ? undefined : NAMED[`${prefix}:`];
  if (url.hostname === "" || (prefix !== undefined && named === undefined)) return null;
  if (url.protocol.startsWith("smtp")) {
    const to = url.searchParams.get("to");
    return prefix === undefined && to
      ? { shape: "mail", url: rest, shown: `${to} by ${url.hostname}` }
      : null;
  }
  const shape = named ?? shapeOf(url);
  return { shape, url: rest, shown: `${url.hostname} (${shape})` };
}

function shapeOf({ hostname, pathname }: URL): AlertShape {
  if (hostname === "ntfy.sh" || hostname.startsWith("ntfy.")) return "ntfy";
  if (hostname === "hooks.slack.com") return "slack";
  if (/(^|\.)discord(app)?\.com$/.test(hostname) && pathname.startsWith("/api/webhooks/")) return "discord";
  if (hostname === "hc-ping.com") return "healthchecks";
  return pathname.startsWith("/api/push/") ? "uptime-kuma" : "json";
}
