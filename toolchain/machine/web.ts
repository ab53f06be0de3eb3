import { EnvHttpProxyAgent, fetch, type RequestInit, type Response } from "undici";
import { ToolchainError } from "./say.ts";

/** What these would mean is this machine, which no proxy reaches; Go's programs leave them out as well. */
const THIS_MACHINE = "localhost,127.0.0.1,[::1]";

/** A site that could not be reached, or that broke off. The message is the reason alone. */
export class NoAnswer extends Error {
  /** Whether it may well answer in a moment. */
  readonly passing: boolean;

  constructor(message: string, passing: boolean) {
    super(message);
    this.passing = passing;
  }
}

/**
 * A request of the toolchain, through the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or their lower case, name. Node's
 * own fetch heeds these in its newest versions only. Throws a `NoAnswer` when nobody answers; a 500 is an answer.
 */
export async function request(url: string, init: RequestInit = {}): Promise<Response> {
  const proxies = proxiesOf(process.env);
  try {
    return await fetch(url, { ...init, dispatcher: agentFor(proxies) });
  } catch (error) {
    throw noAnswer(error, proxyOf(url, proxies));
  }
}

/** Also for what breaks off while it is read. */
export function noAnswer(error: unknown, proxy?: string): NoAnswer {
  const bottom = bottomOf(error);
  const { code = "", message, name } = bottom;
  const tunnel = /^Proxy response \((\d+)\)/.exec(message)?.[1];
  const through = proxy ? `, through the proxy ${proxy}` : "";
  if (tunnel === "407")
    return new NoAnswer(
      `the proxy ${proxy} wants a login (407): write NAME:PASSWORD@ before its host in HTTPS_PROXY`,
      false,
    );
  if (tunnel) return new NoAnswer(`the proxy ${proxy} answers ${tunnel}`, tunnel.startsWith("5"));
  if (name === "TimeoutError") return new NoAnswer(`no answer in time${through}`, true);
  return new NoAnswer(`${code || message}${through}`, PASSING.test(code));
}

const PASSING = /^(ECONNRESET|EPIPE|EAI_AGAIN|ETIMEDOUT|UND_ERR_.*(TIMEOUT|SOCKET).*)$/;

/** What lies below undici's "fetch failed" and "terminated". */
function bottomOf(error: unknown): NodeJS.ErrnoException {
  const { cause } = error as Error;
  return cause instanceof Error ? bottomOf(cause) : (error as NodeJS.ErrnoException);
}

export interface Proxies {
  httpProxy: string;
  httpsProxy: string;
  noProxy: string;
}

/** Lower case comes first, as everywhere. HTTP_PROXY stands in for an HTTPS_PROXY that is not set. */
export function proxiesOf(env: NodeJS.ProcessEnv): Proxies {
  const of = (name: string) => env[name.toLowerCase()] || env[name] || "";
  const own = of("NO_PROXY");
  const httpProxy = address(of("HTTP_PROXY"), "HTTP_PROXY");
  return {
    httpProxy,
    httpsProxy: address(of("HTTPS_PROXY"), "HTTPS_PROXY") || httpProxy,
    noProxy: own.trim() === "*" ? "*" : [own, THIS_MACHINE].filter(Boolean).join(","),
  };
}

/** Most programs take `proxy.example.com:3128` as well. The text may hold a password, so no message shows it. */
function address(text: string, variable: string): string {
  if (text === "") return "";
  const whole = text.includes("://") ? text : `http://${text}`;
  if (URL.canParse(whole) && /^https?:$/.test(new URL(whole).protocol)) return whole;
  throw new ToolchainError(
    `${variable} does not name an HTTP proxy. Give it one, as in http://proxy.example.com:3128, or do without:\n` +
      `    unset ${variable} ${variable.toLowerCase()}`,
  );
}

/** For messages. One that NO_PROXY leaves out is named all the same: the operator must look at both. */
function proxyOf(url: string, { httpProxy, httpsProxy }: Proxies): string | undefined {
  const { protocol, hostname } = new URL(url);
  const proxy = protocol === "https:" ? httpsProxy : httpProxy;
  return proxy && !THIS_MACHINE.split(",").includes(hostname) ? new URL(proxy).host : undefined;
}

let known: { proxies: string; agent: EnvHttpProxyAgent } | undefined;

/** One for all requests: its connections are used again. */
function agentFor(proxies: Proxies): EnvHttpProxyAgent {
  const text = JSON.stringify(proxies);
  if (known?.proxies !== text) known = { proxies: text, agent: new EnvHttpProxyAgent({ ...proxies }) };
  return known.agent;
}
