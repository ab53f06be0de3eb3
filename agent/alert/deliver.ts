import { setTimeout as delay } from "node:timers/promises";
import type { AlertTarget } from "../../shared/alert-url.ts";
import { deliveryOf, type Message, textOf, titleOf } from "./message.ts";

const ANSWER_WITHIN_MS = 15_000;
/** How long is waited before each further try. */
export const RETRY_AFTER_MS: readonly number[] = [2000, 10_000];

/** Why a message was not taken, in words that hold nothing of the address; null when it was. */
export async function deliver(
  target: AlertTarget,
  message: Message,
  retryAfterMs = RETRY_AFTER_MS,
): Promise<string | null> {
  for (let tried = 0; ; tried++) {
    const failure = await tryOnce(target, message);
    const wait = retryAfterMs[tried];
    if (failure === null || !failure.again || wait === undefined) return failure?.why ?? null;
    await delay(wait, undefined, { ref: false });
  }
}

interface Failure {
  why: string;
  /** Whether another try may help. */
  again: boolean;
}

async function tryOnce(target: AlertTarget, message: Message): Promise<Failure | null> {
  try {
    if (target.shape === "mail") return await sendMail(target.url, message);
    const delivery = deliveryOf(target, message);
    if (delivery === null) return null;
    const { url, ...request } = delivery;
    // A redirect could lead the token to another host.
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const answer = await fetch(url, { ...request, redirect: "manual", signal });
    await answer.body?.cancel();
    if (answer.ok) return null;
    return { why: `it answers ${answer.status}`, again: answer.status === 429 || answer.status >= 500 };
  } catch (error) {
    return { why: whyNot(error), again: true };
  }
}

async function sendMail(address: string, message: Message): Promise<Failure | null> {
  const { createTransport } = await import("nodemailer");
  const url = new URL(address);
  const [from, to] = [url.searchParams.get("from"), url.searchParams.get("to")];
  const secure = url.protocol === "smtps:";
  const transport = createTransport({
    host: url.hostname,
    port: Number(url.port) || (secure ? 465 : 587),
    secure,
    // A password that is sent in the clear is known to others.
    requireTLS: !secure && url.username !== "",
    ...(url.username
      ? { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }
      : {}),
    connectionTimeout: ANSWER_WITHIN_MS,
    greetingTimeout: ANSWER_WITHIN_MS,
    socketTimeout: ANSWER_WITHIN_MS,
  });
  try {
    await transport.sendMail({
      from: from ?? to ?? "",
      to: to ?? "",
      subject: titleOf(message),
      text: textOf(message),
    });
    return null;
  } finally {
    transport.close();
  }
}

/** The codes of Node and of mail servers; their messages may hold the address. */
function whyNot(error: unknown): string {
  const { name, code, responseCode, cause } = error as Error & { code?: string; responseCode?: number };
  if (name === "TimeoutError") return "no answer in time";
  if (code === "ETLS") return "it offers no TLS, and without that no password is sent to it";
  if (responseCode !== undefined) return `the mail server answers ${responseCode}`;
  const inner = (cause as { code?: string } | undefined)?.code;
  return inner ?? code ?? "no answer";
}
