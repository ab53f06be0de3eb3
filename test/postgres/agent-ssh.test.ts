import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { manifestName } from "../../agent/manifest/backup-name.ts";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { fingerprint, parseHostKey } from "../../agent/ssh/host-key.ts";
import { encryptedKeys } from "../../agent/store/object-key.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { makeAgeKey } from "../support/agent/age-program.ts";
import { KILLED } from "../support/agent/agent.ts";
import { keepAState } from "../support/agent/kept-state.ts";
import {
  partialBytes,
  type Sender,
  type Sent,
  startSender,
  type Target,
} from "../support/agent/ssh-sender.ts";
import { startTcpProxy, type TcpProxy } from "../support/faults/tcp-proxy.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

const MB = 1024 * 1024;

let sender: Sender;
let server: TestSshd;
let target: Target;

/** A folder on the server that does not exist yet. */
let folders = 0;
const newTarget = (of: TestSshd): Target => ({ ...of, folder: join(of.folder, `copies ${++folders}`) });

const namesThere = async () => (await readdir(target.folder).catch(() => [])).sort();
const namesOf = ({ file, globals }: Manifest) => [
  manifestName(file) as string,
  file,
  ...(globals ? [globals.file] : []),
];
const pathThere = (name: string) => join(target.folder, name);
const pathHere = (name: string) => join(sender.agent.directory, name);

/** Exactly these are there, byte for byte as here. */
const expectWholeThere = async (...backups: Manifest[]) => {
  expect(await namesThere()).toEqual(backups.flatMap(namesOf).sort());
  for (const { file, sha256 } of backups) {
    const [there, here] = await Promise.all([readFile(pathThere(file)), readFile(pathHere(file))]);
    expect(there.equals(here), file).toBe(true);
    const manifest = JSON.parse(await readFile(pathThere(manifestName(file) as string), "utf8"));
    expect(manifest).toMatchObject({ file, sha256, offsite: null, offsiteSsh: null });
  }
};
const expectNoFinalName = async () => {
  expect((await namesThere()).filter(name => name.startsWith("budgie_"))).toEqual([]);
};
const expectCode = (sent: Sent, code: number) => expect(sent.code, sent.stdout + sent.stderr).toBe(code);

const untilPartialHolds = (bytes: number) =>
  until(
    `${bytes} bytes in ${target.folder}`,
    () => partialBytes(target.folder),
    there => there >= bytes,
    {
      withinMs: 60_000,
      everyMs: 5,
    },
  );

beforeAll(async () => {
  sender = await startSender();
});
afterAll(async () => {
  await sender?.stop();
});
beforeEach(() => sender.clear());

const SERVERS: [string, { shell: boolean }][] = [
  ["a server that gives the account SFTP alone", { shell: false }],
  ["a server where the account has a shell", { shell: true }],
];

describe.each(SLOW ? SERVERS : SERVERS.slice(0, 1))("copies over ssh to %s", (_kind, options) => {
  beforeAll(async () => {
    server = await startSshd(options);
  });
  afterAll(async () => {
    await server?.stop();
  });
  beforeEach(() => {
    target = newTarget(server);
  });

  it("are equal byte for byte, for their owner alone, and recorded; the next run sends nothing", async () => {
    const backup = await sender.backup();
    const large = await sender.plant(5 * MB + 1);
    const footprint = async () =>
      Promise.all((await namesThere()).map(name => stat(pathThere(name)).then(s => [s.ino, s.mtimeMs])));

    const first = await sender.send(target);

    expectCode(first, EXIT.done);
    expect(first.sent).toEqual(expect.arrayContaining([backup.file, large.file]));
    expect(first.missing).toEqual([]);
    await expectWholeThere(backup, large);
    expect((await stat(target.folder)).mode & 0o777).toBe(0o700);
    for (const name of await namesThere())
      expect((await stat(pathThere(name))).mode & 0o777, name).toBe(0o600);
    expect((await sender.manifest(backup.file)).offsiteSsh?.target).toBe(first.target);

    const before = await footprint();
    const second = await sender.send(target);
    expectCode(second, EXIT.done);
    expect(second.sent).toEqual([]);
    expect(await footprint()).toEqual(before);
  });

  it("come with the stack's state, once, under a name that no backup has", async () => {
    const { state } = await keepAState(sender.agent);
    const backup = await sender.backup();
    for (const time of ["first", "second"]) {
      const { code, stderr } = await sender.push(target);
      expect(code, `${time}: ${stderr}`).toBe(EXIT.done);
      const states = (await namesThere()).filter(name => name.startsWith("state_"));
      expect(states, time).toHaveLength(1);
      expect(JSON.parse(await readFile(pathThere(states[0] ?? ""), "utf8")).state).toEqual(state);
      expect(await namesThere()).toEqual([...namesOf(backup), ...states].sort());
    }
    const sent = await sender.send(target);
    expect(sent).toMatchObject({ code: EXIT.done, sent: [], missing: [] });
  });

  it("encrypted to an age key, are whole, opened by age itself, and not sent twice", async () => {
    const key = await makeAgeKey();
    try {
      const backup = await sender.backup();
      const large = await sender.plant(3 * MB + 1);
      const first = await sender.send(target, [key.recipient]);
      expectCode(first, EXIT.done);
      const names = encryptedKeys("", backup);
      const ofLarge = encryptedKeys("", large);
      expect(await namesThere()).toEqual([...Object.values(names), ofLarge.dump, ofLarge.manifest].sort());
      for (const { file, sealed } of [
        { file: backup.file, sealed: names.dump },
        { file: backup.globals?.file ?? "", sealed: names.globals },
        { file: large.file, sealed: ofLarge.dump },
      ]) {
        const opened = await key.decrypt(await readFile(pathThere(sealed)));
        expect(opened.equals(await readFile(pathHere(file))), file).toBe(true);
      }
      const manifest = JSON.parse((await key.decrypt(await readFile(pathThere(names.manifest)))).toString());
      expect(manifest).toMatchObject({ file: backup.file, sha256: backup.sha256, offsiteSsh: null });

      const before = await Promise.all(
        (await namesThere()).map(async name => (await stat(pathThere(name))).ino),
      );
      const second = await sender.send(target, [key.recipient]);
      expectCode(second, EXIT.done);
      expect(second.sent).toEqual([]);
      await rm(pathThere(names.manifest));
      const third = await sender.send(target, [key.recipient]);
      expect(third.sent).toEqual([backup.file]);
      expect(before).toContain((await stat(pathThere(names.dump))).ino);
    } finally {
      await key.remove();
    }
  });

  it("that were cut on the way are not there, and the next run completes them", async () => {
    const backup = await sender.plant(20 * MB);
    const line = await startTcpProxy(server.host, server.port);
    try {
      line.cutAfter(7 * MB);
      const cut = await sender.send({ ...target, port: line.port });
      expectCode(cut, EXIT.storeUnreachable);
      expect(cut.missing).toEqual([backup.file]);
      expect(cut.stderr).toContain("npx budgie push");
      expect(await partialBytes(target.folder), "it was cut in the middle").toBeGreaterThan(MB);
      await expectNoFinalName();
    } finally {
      await line.stop();
    }
    expectCode(await sender.send(target), EXIT.done);
    await expectWholeThere(backup);
  });

  it.each([
    ["shorter", (backup: Manifest) => backup.bytes - 1],
    ["of the same size", (backup: Manifest) => backup.bytes],
  ])("never take the place of another file, %s, of that name", async (_which, size) => {
    const [taken, other] = [await sender.plant(MB), await sender.plant(MB)];
    const foreign = randomBytes(size(taken));
    await mkdir(target.folder);
    await writeFile(pathThere(taken.file), foreign);

    const sent = await sender.send(target);

    expectCode(sent, EXIT.storeRefused);
    expect(sent.stderr).toContain(`${taken.file} is another file`);
    expect((await readFile(pathThere(taken.file))).equals(foreign), "it is as it was").toBe(true);
    expect(sent.sent, "it kept no other backup from being sent").toEqual([other.file]);
    expect(await namesThere()).toEqual([taken.file, ...namesOf(other)].sort());
    expect((await sender.manifest(taken.file)).offsiteSsh).toBeNull();
  });

  it("that are there already are compared, and then only recorded", async () => {
    const backup = await sender.plant(MB);
    expectCode(await sender.send(target), EXIT.done);
    await writeFile(pathHere(manifestName(backup.file) as string), JSON.stringify(backup));
    const { ino } = await stat(pathThere(backup.file));

    const again = await sender.send(target);

    expectCode(again, EXIT.done);
    expect(again.sent).toEqual([backup.file]);
    expect((await sender.manifest(backup.file)).offsiteSsh).not.toBeNull();
    expect((await stat(pathThere(backup.file))).ino).toBe(ino);
  });
});

describe("copying over ssh", () => {
  beforeAll(async () => {
    server = await startSshd({ shell: true });
  });
  afterAll(async () => {
    await server?.stop();
  });
  beforeEach(() => {
    target = newTarget(server);
  });

  it("while the server is away says so, leaves the backup good, and catches up when it is back", async () => {
    const backup = await sender.backup();
    await server.kill();
    try {
      const away = await sender.send(target);
      expectCode(away, EXIT.storeUnreachable);
      expect(away.stderr).toMatch(/ECONNREFUSED[\s\S]*npx budgie push/);
      expect(away.missing).toEqual([backup.file]);
      expect((await sender.agent.run(["verify", backup.file])).code).toBe(EXIT.done);
    } finally {
      await server.start();
    }
    expectCode(await sender.send(target), EXIT.done);
    await expectWholeThere(backup);
  });

  it("when the server's processes die in the middle: nothing half has a final name, the next run completes it", async () => {
    const backup = await sender.plant(200 * MB);
    const sending = sender.send(target);
    await untilPartialHolds(5 * MB);
    await server.cutLogins();
    expectCode(await sending, EXIT.storeUnreachable);
    await expectNoFinalName();
    expectCode(await sender.send(target), EXIT.done);
    await expectWholeThere(backup);
  });

  it("sends again what has vanished there, and removes its own leftovers but not another stack's", async () => {
    const [backup, kept] = [await sender.plant(MB), await sender.plant(MB)];
    expectCode(await sender.send(target), EXIT.done);
    await rm(pathThere(backup.file));
    const foreign = [`.partial-test-2-${backup.file}`, ".partial-prod-budgie_20250101_000000.sql"];
    for (const name of [".partial-test-budgie_20250101_000000.sql", ...foreign])
      await writeFile(pathThere(name), "half");

    const sent = await sender.send(target);

    expectCode(sent, EXIT.done);
    expect(sent.sent).toEqual([backup.file]);
    expect(await namesThere()).toEqual([...foreign, ...namesOf(backup), ...namesOf(kept)].sort());
  });

  it("sends nothing of a file that is not what its manifest says", async () => {
    const backup = await sender.plant(3 * MB);
    await writeFile(pathHere(backup.file), randomBytes(backup.bytes));
    const sent = await sender.send(target);
    expectCode(sent, EXIT.unusableBackup);
    expect(sent.stderr).toContain("corrupt");
    expect(await namesThere()).toEqual([]);
  });

  it("refuses a server with another key, naming both fingerprints, before it logs in", async () => {
    await sender.plant(MB);
    const logBefore = await server.log();
    const sent = await sender.send({ ...target, hostKey: server.otherHostKey });
    expectCode(sent, EXIT.storeRefused);
    for (const line of [server.hostKey, server.otherHostKey])
      expect(sent.stderr).toContain(fingerprint(parseHostKey(line)));
    expect(sent.stderr).toContain("config set budgie:offsiteSshHostKey");
    const logged = (await server.log()).slice(logBefore.length);
    expect(logged).toContain("Disconnected");
    expect(logged).not.toContain(target.user);
    expect(await namesThere()).toEqual([]);
  });

  it("knows a server by its RSA key too, though it shows an Ed25519 key to whoever does not ask", async () => {
    const backup = await sender.plant(MB);
    expectCode(await sender.send({ ...target, hostKey: server.rsaHostKey }), EXIT.done);
    await expectWholeThere(backup);
  });

  it("says which line the server lacks when it does not know the key, and shows no key of its own", async () => {
    await sender.plant(MB);
    const sent = await sender.send({ ...target, userKey: server.otherUserKey });
    expectCode(sent, EXIT.storeRefused);
    expect(sent.stderr).toMatch(/authorized_keys there: restrict,command="internal-sftp" ssh-ed25519 AAAA/);
    for (const line of server.otherUserKey.trim().split("\n"))
      expect(sent.stdout + sent.stderr).not.toContain(line);
    expect(await namesThere()).toEqual([]);
  });

  it.each([
    ["nothing that is a key", "not a key", "is not an OpenSSH private key"],
    ["a key with a passphrase", "locked", "is locked with a passphrase"],
  ])("says so when it was given %s", async (_what, key, message) => {
    const sent = await sender.send({ ...target, userKey: key === "locked" ? server.lockedKey : key });
    expectCode(sent, EXIT.storeRefused);
    expect(sent.stderr).toContain(message);
    expect(sent.stderr).toContain("ssh-keygen");
  });

  it("says what to type when the folder's parent is not there", async () => {
    await sender.plant(MB);
    const sent = await sender.send({ ...target, folder: join(target.folder, "deeper") });
    expectCode(sent, EXIT.storeRefused);
    expect(sent.stderr).toContain(`mkdir -p '${target.folder}'`);
  });

  itSlowly("keeps memory flat for half a gigabyte", async () => {
    const backup = await sender.plant(500 * MB);
    const startedAt = Date.now();
    const sent = await sender.send(target);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    const peak = Math.round((sent.peakMemoryBytes ?? 0) / MB);
    expectCode(sent, EXIT.done);
    await expectWholeThere(backup);
    console.log(`500 MB sent and checked in ${seconds} s, peak memory ${peak} MB`);
    // Node itself takes 80.
    expect(peak).toBeLessThan(230);
  });
});

describe("copying over an ssh line that goes bad", () => {
  let line: TcpProxy;

  beforeAll(async () => {
    server = await startSshd({ shell: true });
  });
  afterAll(async () => {
    await server?.stop();
  });
  beforeEach(async () => {
    line = await startTcpProxy(server.host, server.port);
    target = { ...newTarget(server), port: line.port };
  });
  afterEach(() => line.stop());

  it("ends within 15 seconds when nobody answers at all", async () => {
    await sender.plant(MB);
    line.stallAfter(0);
    const startedAt = Date.now();
    expectCode(await sender.send(target), EXIT.storeUnreachable);
    expect(Date.now() - startedAt).toBeLessThan(15_000);
  });

  itSlowly(
    "ends within 45 seconds when the server falls silent in the middle, and the next run completes it",
    async () => {
      const backup = await sender.plant(20 * MB);
      line.stallAfter(7 * MB);
      const startedAt = Date.now();
      expectCode(await sender.send(target), EXIT.storeUnreachable);
      expect(Date.now() - startedAt).toBeLessThan(45_000);
      await expectNoFinalName();
      line.heal();
      expectCode(await sender.send(target), EXIT.done);
      await expectWholeThere(backup);
    },
  );

  it("and being killed (-9) meanwhile, leaves nothing half under a final name", async () => {
    const backup = await sender.plant(20 * MB);
    line.stallAfter(7 * MB);
    const sending = sender.send(target);
    await untilPartialHolds(5 * MB);
    await sender.killSend();
    expectCode(await sending, KILLED);
    await expectNoFinalName();
    line.heal();
    expectCode(await sender.send(target), EXIT.done);
    await expectWholeThere(backup);
  });
});

describe.each([
  ["says how much room it has", {}],
  ["does not say how much room it has", { sftpArguments: "-P statvfs" }],
])("copying over ssh to a server with a full disk that %s", (_what, options) => {
  beforeAll(async () => {
    server = await startSshd({ shell: true, ...options });
    await execa("mount", ["-t", "tmpfs", "-o", "size=8m", "none", server.folder]);
  });
  afterAll(async () => {
    await execa("umount", [server.folder]);
    await server?.stop();
  });

  it("is refused, leaves nothing there, and succeeds once there is room", async () => {
    target = newTarget(server);
    const [small, large] = [await sender.plant(MB), await sender.plant(20 * MB)];

    const full = await sender.send(target);

    expectCode(full, EXIT.storeRefused);
    expect(full.stderr).toContain("disk");
    expect(full.missing).toEqual([large.file]);
    await expectWholeThere(small);

    await execa("mount", ["-o", "remount,size=40m", server.folder]);
    expectCode(await sender.send(target), EXIT.done);
    await expectWholeThere(small, large);
  });
});

describe("copying over ssh to an account that may not write", () => {
  it("is refused, and says who lacks permission", async () => {
    server = await startSshd({ shell: false, sftpArguments: "-R" });
    try {
      await sender.plant(MB);
      target = newTarget(server);
      const sent = await sender.send(target);
      expectCode(sent, EXIT.storeRefused);
      expect(sent.stderr).toContain(`${target.user} has no permission`);
    } finally {
      await server.stop();
    }
  });
});
