import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Board } from "../../agent/show/board.ts";
import { listen } from "../../agent/show/listen.ts";
import { pageHtml } from "../../agent/show/page.tsx";
import { startChromium } from "../support/browser/chromium.ts";
import { plotFiles } from "../support/browser/plot-files.ts";
import { ofADay, ofAYear, ofNone, ofTwoThousand } from "../support/status/shown.ts";
import { status } from "../support/status/status.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = { desk: { width: 1280, height: 900 }, phone: { width: 360, height: 740 } };
const AGES = { year: ofAYear, day: ofADay, none: ofNone };
/** Where pictures go that docs/ shows, when somebody asks for them. */
const PICTURES = process.env.STATUS_PICTURES;

let browser: Browser;
let server: Server;
let address: string;
const board: Board = { seen: null };

beforeAll(async () => {
  browser = await startChromium();
  server = await listen(0, board, await plotFiles());
  address = `http://localhost:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await browser?.close();
  server?.close();
});

/** What the browser refused or complained of; nothing may be. */
function complaints(page: Page): string[] {
  const heard: string[] = [];
  page.on("console", message => void (message.type() === "error" && heard.push(message.text())));
  page.on("pageerror", error => heard.push(error.message));
  page.on("requestfailed", request => heard.push(request.url()));
  return heard;
}

describe.each(["light", "dark"] as const)("the status page, %s", colorScheme => {
  describe.each(Object.entries(SIZES))("on a %s", (size, viewport) => {
    it.each(Object.entries(AGES))("with data of a %s is whole, and axe finds nothing", async (age, seen) => {
      board.seen = seen();
      const context = await browser.newContext({ colorScheme, viewport, bypassCSP: false });
      const page = await context.newPage();
      const heard = complaints(page);
      await page.goto(address, { waitUntil: "load" });
      expect(await page.locator(".verdict strong").innerText()).toContain(board.seen.status.verdict.sentence);
      const box = await page.locator(".verdict").boundingBox();
      expect(box?.y, "the answer is in sight at once").toBeLessThan(120);
      const [inner, outer] = (await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")) as [
        number,
        number,
      ];
      expect(inner, "nothing sticks out to the side").toBeLessThanOrEqual(outer);
      if (age !== "none") await page.waitForSelector("#plot-size canvas");
      expect(heard).toEqual([]);
      if (PICTURES) {
        await mkdir(PICTURES, { recursive: true });
        await page.screenshot({ path: `${PICTURES}/${age}-${colorScheme}-${size}.png`, fullPage: true });
      }
      await context.close();
      expect(await audit(await browser.newContext({ colorScheme, viewport, bypassCSP: true }))).toEqual([]);
    });
  });
});

/** In a context that lets the audit's own program in, past the page's policy. */
async function audit(context: Awaited<ReturnType<Browser["newContext"]>>): Promise<string[]> {
  const page = await context.newPage();
  await page.goto(address, { waitUntil: "load" });
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate("axe.run()")) as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  await context.close();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}

describe("without JavaScript", () => {
  it("everything but the plots can be read, and the keyboard reaches all", async () => {
    board.seen = ofAYear();
    const context = await browser.newContext({ javaScriptEnabled: false, viewport: SIZES.desk });
    const page = await context.newPage();
    await page.goto(address);
    expect(await page.locator("svg.band").count()).toBe(2);
    expect(await page.locator("tbody tr").count()).toBeGreaterThan(25);
    expect(await page.locator("noscript").innerText()).toContain("The plots need JavaScript");
    await page.locator('a:has-text("older")').click();
    expect(await page.locator("nav .soft").innerText()).toBe("page 2 of 15");
    await context.close();
  });
});

it("before the agent has looked, and when it hangs, the page says so and nothing else", async () => {
  const page = await browser.newPage();
  board.seen = null;
  await page.goto(address);
  expect(await page.locator(".verdict.unknown strong").innerText()).toContain("has not yet looked");
  board.seen = { status: status({ at: new Date(Date.now() - 600_000).toISOString() }), backups: [] };
  await page.goto(address);
  expect(await page.locator(".verdict.unknown strong").innerText()).toContain("npx budgie restart backup");
  await page.close();
});

it("what a name or an error says cannot become a part of the page", async () => {
  const page = await browser.newPage();
  const heard = complaints(page);
  const seen = ofADay();
  const [first] = seen.backups;
  if (first) Object.assign(first, { proof: "bad", why: `</script><script>alert(1)</script>"><img src=x>` });
  board.seen = seen;
  await page.goto(address);
  expect(await page.locator("img").count()).toBe(0);
  expect(await page.locator("tbody").first().innerText()).toContain("<script>alert(1)</script>");
  expect(heard).toEqual([]);
  await page.close();
});

it("two thousand backups are shown within 50 ms of work and in less than 150 KB, plots included", async () => {
  const { script, style } = await plotFiles();
  board.seen = ofTwoThousand();
  const options = { page: 1, style, plots: true, now: new Date() };
  for (let warm = 0; warm < 5; warm++) pageHtml(board, options);
  const times = Array.from({ length: 9 }, () => {
    const { user, system } = process.cpuUsage();
    pageHtml(board, options);
    const spent = process.cpuUsage({ user, system });
    return (spent.user + spent.system) / 1000;
  });
  const answer = await (await fetch(address)).text();
  expect(times.sort((a, b) => a - b)[4]).toBeLessThan(50);
  expect(answer.length + script.length).toBeLessThan(150_000);
});
