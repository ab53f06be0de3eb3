import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterEach, expect, it } from "vitest";
import { deliver } from "../../../../agent/alert/deliver.ts";
import type { Message } from "../../../../agent/alert/message.ts";
import { parseAlertUrl } from "../../../../shared/alert-url.ts";

const PASSWORD = "p@ss-canary-0123456789";
const message: Message = {
  kind: "wrong",
  stack: "prod",
  sentence: "Something is wrong: the disk is full",
  problems: ["The disk is full. Free some space."],
  at: "2026-11-22T12:00:00.000Z",
};

interface Taken {
  from: string;
  to: string[];
  mail: string;
}

let server: SMTPServer | undefined;
afterEach(() => new Promise<void>(done => (server ? server.close(() => done()) : done())));

/** A real mail server on this machine, and what it has taken. */
async function mailServer(
  options: SMTPServerOptions,
): Promise<{ port: number; taken: Taken[]; passwords: string[] }> {
  const [taken, passwords]: [Taken[], string[]] = [[], []];
  const started = new SMTPServer({
    authOptional: true,
    onAuth({ username, password }, _session, done) {
      passwords.push(password ?? "");
      if (username === "me" && password === PASSWORD) done(null, { user: username });
      else done(new Error("Invalid username or password"));
    },
    onData(stream, { envelope }, done) {
      void text(stream).then(mail => {
        const from = envelope.mailFrom ? envelope.mailFrom.address : "";
        taken.push({ from, to: envelope.rcptTo.map(({ address }) => address), mail });
        done();
      });
    },
    ...options,
  });
  server = started;
  await new Promise<void>(done => started.listen(0, "127.0.0.1", done));
  return { port: (started.server.address() as AddressInfo).port, taken, passwords };
}

async function mail(port: number, user = ""): Promise<string | null> {
  const target = parseAlertUrl(`smtp://${user}127.0.0.1:${port}/?from=budgie@example.com&to=me@example.com`);
  if (target === null) throw new Error("no address");
  return deliver(target, message, []);
}
const ME = `me:${encodeURIComponent(PASSWORD)}@`;

it("a mail has the worst in its subject, and what to type in its text", async () => {
  const { port, taken } = await mailServer({ disabledCommands: ["AUTH", "STARTTLS"] });
  expect(await mail(port)).toBeNull();
  expect(taken).toMatchObject([{ from: "budgie@example.com", to: ["me@example.com"] }]);
  expect(taken[0]?.mail).toMatch(/^Subject: .*prod/m);
  expect(taken[0]?.mail).toContain("The disk is full. Free some space.");
});

it("a password is not sent in the clear: a server without TLS gets neither it nor the mail", async () => {
  const { port, taken, passwords } = await mailServer({ disabledCommands: ["STARTTLS"] });
  expect(await mail(port, ME)).toBe("it offers no TLS, and without that no password is sent to it");
  expect({ taken, passwords }).toEqual({ taken: [], passwords: [] });
});

it("a server whose certificate nobody vouches for gets no password either", async () => {
  const { port, taken, passwords } = await mailServer({});
  const why = await mail(port, ME);
  expect(why).not.toBeNull();
  expect(why).not.toContain(PASSWORD);
  expect({ taken, passwords }).toEqual({ taken: [], passwords: [] });
});

it("a server that refuses the receiver is named by its answer alone", async () => {
  const { port } = await mailServer({
    disabledCommands: ["AUTH", "STARTTLS"],
    onRcptTo: (_address, _session, done) =>
      done(Object.assign(new Error("no such user"), { responseCode: 550 })),
  });
  expect(await mail(port)).toBe("the mail server answers 550");
});

it("a server that is not there is told by the network's own word", async () => {
  expect(await mail(1)).toMatch(/ECONNREFUSED|ESOCKET/);
});
