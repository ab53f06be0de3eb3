import { parseAlertUrl, splitAlertUrls } from "../shared/alert-url.ts";
import { optional, type SettingDefinition, text } from "./definition.ts";

const heartbeat = text(/^https?:\/\/\S+$/).refine(url => URL.canParse(url));
const alerts = text(/^[\x20-\x7e]+$/).refine(urls => {
  const each = splitAlertUrls(urls);
  return each.length > 0 && each.every(url => parseAlertUrl(url) !== null);
});

export const alertDefinitions = {
  heartbeatUrl: {
    schema: optional(heartbeat),
    allowed: "an http:// or https:// address, stored as a secret",
    example: "",
    secret: true,
  },
  alertUrl: {
    schema: optional(alerts),
    allowed:
      "addresses with spaces between them, stored as a secret: https://…, ntfy+https://…, slack+https://…, discord+https://…, healthchecks+https://…, kuma+https://…, json+https://… or smtps://USER:PASSWORD@HOST/?from=…&to=…",
    example: "",
    secret: true,
  },
} satisfies Record<string, SettingDefinition>;
