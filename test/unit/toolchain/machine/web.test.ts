import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { proxiesOf, request } from "../../../../toolchain/machine/web.ts";
import { type ScriptedSite, scriptedSite, whole } from "../../../support/faults/download-site.ts";
import { type ConnectProxy, startConnectProxy } from "../../../support/servers/connect-proxy.ts";
import { freePort } from "../../../support/servers/free-port.ts";

const VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
let site: ScriptedSite;
let proxies: ConnectProxy[];

beforeEach(async () => {
  for (const name of VARIABLES) for (const each of [name, name.toLowerCase()]) vi.stubEnv(each, undefined);
  site = await scriptedSite(whole("the file"));
  proxies = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all([site, ...proxies].map(each => each.stop()));
});

async function proxy(refuses?: number): Promise<ConnectProxy> {
  const found = await startConnectProxy(Number(new URL(site.origin).port), refuses);
  proxies.push(found);
  return found;
}

const text = async (url: string) => (await request(url)).text();

describe("a request", () => {
  it.each([
    ["HTTP_PROXY", "http://"],
    ["http_proxy", "http://"],
    ["http_proxy", ""],
  ])("goes through the proxy that %s names (as %sHOST:PORT)", async (variable, scheme) => {
    const { address, asked } = await proxy();
    vi.stubEnv(variable, `${scheme}${address}`);
    expect(await text("http://site.test/file")).toBe("the file");
    expect(asked).toEqual(["site.test:80"]);
  });

  it("prefers the proxy in lower case", async () => {
    const { address, asked } = await proxy();
    vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${await freePort()}`);
    vi.stubEnv("http_proxy", `http://${address}`);
    expect(await text("http://site.test/file")).toBe("the file");
    expect(asked).toHaveLength(1);
  });

  it("logs in to the proxy", async () => {
    const { address, logins } = await proxy();
    vi.stubEnv("HTTP_PROXY", `http://me:p%40ss@${address}`);
    await text("http://site.test/file");
    expect(logins).toEqual([`Basic ${Buffer.from("me:p@ss").toString("base64")}`]);
  });

  it.each(["site.test", ".test", "other.example, site.test", "test", "*", "site.test:80"])(
    "goes past the proxy where NO_PROXY is %s",
    async exceptions => {
      const { address, asked } = await proxy();
      vi.stubEnv("HTTP_PROXY", `http://${address}`);
      vi.stubEnv("NO_PROXY", exceptions);
      await expect(text("http://site.test/file")).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/);
      expect(asked).toEqual([]);
    },
  );

  it.each(["site.tes", "other.test", "site.test:8080"])(
    "goes through the proxy where NO_PROXY is %s",
    async exceptions => {
      const { address, asked } = await proxy();
      vi.stubEnv("HTTP_PROXY", `http://${address}`);
      vi.stubEnv("no_proxy", exceptions);
      expect(await text("http://site.test/file")).toBe("the file");
      expect(asked).toHaveLength(1);
    },
  );

  it.each([undefined, "*", "other.test"])("to this machine goes past the proxy (NO_PROXY %s)", async own => {
    const { address, asked } = await proxy();
    vi.stubEnv("HTTP_PROXY", `http://${address}`);
    vi.stubEnv("NO_PROXY", own);
    expect(await text(`${site.origin}/file`)).toBe("the file");
    expect(asked).toEqual([]);
  });
});

describe("a request that fails", () => {
  it("names a proxy that is not there", async () => {
    const gone = `127.0.0.1:${await freePort()}`;
    vi.stubEnv("HTTP_PROXY", `http://${gone}`);
    await expect(text("http://site.test/file")).rejects.toThrow(`ECONNREFUSED, through the proxy ${gone}`);
  });

  it("says that the proxy wants a login, without the one that was given", async () => {
    const { address } = await proxy(407);
    vi.stubEnv("HTTP_PROXY", `http://me:secret-word@${address}`);
    const failure = await text("http://site.test/file").catch((error: Error) => error.message);
    expect(failure).toContain(
      `the proxy ${address} wants a login (407): write NAME:PASSWORD@ before its host`,
    );
    expect(failure).not.toContain("secret-word");
  });

  it.each([403, 502])("says that the proxy answers %i", async code => {
    const { address } = await proxy(code);
    vi.stubEnv("HTTP_PROXY", `http://${address}`);
    await expect(text("http://site.test/file")).rejects.toThrow(`the proxy ${address} answers ${code}`);
  });
});

describe("the variables", () => {
  it("let HTTP_PROXY stand in for an HTTPS_PROXY that is not set", () => {
    expect(proxiesOf({ HTTP_PROXY: "http://a:1" })).toMatchObject({ httpsProxy: "http://a:1" });
    expect(proxiesOf({ HTTP_PROXY: "http://a:1", https_proxy: "b:2" })).toMatchObject({
      httpProxy: "http://a:1",
      httpsProxy: "http://b:2",
    });
    expect(proxiesOf({ HTTPS_PROXY: "b:2" })).toMatchObject({ httpProxy: "" });
  });

  it.each(["socks5://me:secret-word@a:1", "http://", "http://a:port"])("refuse %s by name alone", value => {
    const read = () => proxiesOf({ HTTPS_PROXY: value });
    expect(read).toThrow("HTTPS_PROXY does not name an HTTP proxy");
    expect(read).toThrow("unset HTTPS_PROXY https_proxy");
    expect(read).not.toThrow("secret-word");
  });
});
