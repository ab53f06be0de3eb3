import type { RequestInit, Response } from "undici";
import { refusal } from "./download.ts";
import { ANSWER_MS } from "./patience.ts";
import { request } from "./web.ts";

/** Of an image for several kinds of machine first, because its digest is the same on each of them. */
const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/**
 * The digest (`sha256:…`) that an image's tag has in its registry now. `name` is the whole one: `docker.io/library/node:24`.
 * Throws, with the reason alone, when the registry does not answer or does not have it.
 */
export async function registryDigest(name: string): Promise<string> {
  const url = manifestOf(name);
  let answer = await ask(url);
  if (answer.status === 401) {
    const token = await anonymousToken(answer.headers.get("www-authenticate") ?? "");
    answer = await ask(url, token);
  }
  if (answer.status === 429) throw refusal(url, answer);
  const digest = answer.headers.get("docker-content-digest");
  if (answer.status === 404) throw new Error(`${new URL(url).host} has no such image`);
  if (!answer.ok || !/^sha256:[0-9a-f]{64}$/.test(digest ?? ""))
    throw new Error(`${new URL(url).host} answers ${answer.status}, without a digest`);
  return digest as string;
}

/** Whether an image's registry answers at all, whatever it says. */
export async function registryAnswers(name: string): Promise<boolean> {
  const { origin } = new URL(manifestOf(name));
  return inTime(`${origin}/v2/`, {}).then(
    () => true,
    () => false,
  );
}

function manifestOf(name: string): string {
  const [, host = "", repository = "", tag = ""] = /^([^/]+)\/(.+):([^:/]+)$/.exec(name) ?? [];
  return `${addressOf(host)}/v2/${repository}/manifests/${tag}`;
}

/** As the engines do: a registry on this machine may do without TLS. */
function addressOf(host: string): string {
  if (host === "docker.io") return "https://registry-1.docker.io";
  return /^(localhost|127\.)/.test(host) ? `http://${host}` : `https://${host}`;
}

function ask(url: string, token?: string): Promise<Response> {
  const headers: Record<string, string> = { Accept: MANIFESTS.join(", ") };
  if (token) headers.Authorization = `Bearer ${token}`;
  return inTime(url, { method: "HEAD", headers });
}

/** What a registry gives to anyone who wants to read a public image. */
async function anonymousToken(challenge: string): Promise<string> {
  const part = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1];
  const realm = part("realm");
  if (!/^bearer /i.test(challenge) || !realm) throw new Error("its registry wants a login");
  const url = new URL(realm);
  for (const name of ["service", "scope"]) url.searchParams.set(name, part(name) ?? "");
  const answer = await inTime(url.href, {});
  if (!answer.ok) throw new Error(`its registry wants a login (${answer.status})`);
  const { token, access_token } = (await answer.json()) as { token?: string; access_token?: string };
  return token ?? access_token ?? "";
}

async function inTime(url: string, init: RequestInit): Promise<Response> {
  try {
    return await request(url, { ...init, signal: AbortSignal.timeout(ANSWER_MS) });
  } catch (error) {
    throw new Error(`${new URL(url).host} does not answer: ${(error as Error).message}`);
  }
}
