import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decrypted, decryptedIfNeeded } from "../../../../agent/encryption/decrypt.ts";
import { encrypted, encryptedBytes, mayBeEncrypted } from "../../../../agent/encryption/encrypt.ts";
import { openEncrypting } from "../../../../agent/encryption/encrypting-reader.ts";
import { isRecipient, splitRecipients } from "../../../../shared/age-recipient.ts";

describe("what leaves the machine, encrypted", () => {
  let identity: string;
  let recipients: string[];
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "budgie-encryption-"));
    identity = await generateX25519Identity();
    recipients = [
      await identityToRecipient(identity),
      await identityToRecipient(await generateX25519Identity()),
    ];
  });

  afterAll(() => rm(directory, { recursive: true }));

  const collect = async (chunks: AsyncIterable<Uint8Array>) => {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(chunk);
    return Buffer.concat(all);
  };
  const pieces = async function* (bytes: Buffer, size = 10_000) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  };
  const seal = (bytes: Buffer) => collect(encrypted(recipients, pieces(bytes)));
  const open = (bytes: Buffer, identities = [identity]) =>
    collect(decrypted(pieces(bytes), identities, "x.age"));

  it("comes back as it was, and is as large as foretold, whatever its size", async () => {
    const sizes = fc.oneof(
      fc.integer({ min: 0, max: 300_000 }),
      fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 131_072),
    );
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer(), async (size, seed) => {
        const bytes = Buffer.alloc(size, String(seed));
        const sealed = await seal(bytes);
        expect(sealed.length).toBe(await encryptedBytes(recipients, size));
        expect(mayBeEncrypted(sealed.length, size)).toBe(true);
        expect((await open(sealed)).equals(bytes)).toBe(true);
        expect((await collect(decryptedIfNeeded(pieces(sealed), [identity], "x"))).equals(bytes)).toBe(true);
        expect((await collect(decryptedIfNeeded(pieces(bytes), [], "x"))).equals(bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it.each([
    ["cut off in the header", (sealed: Buffer) => sealed.subarray(0, 120)],
    ["cut off between two pieces", (sealed: Buffer) => sealed.subarray(0, sealed.length - 4000 - 16)],
    ["cut off in the last piece", (sealed: Buffer) => sealed.subarray(0, sealed.length - 1)],
    [
      "changed by one bit",
      (sealed: Buffer) => {
        const at = sealed.length - 100_000;
        sealed.writeUInt8(sealed.readUInt8(at) ^ 1, at);
        return sealed;
      },
    ],
  ])("is refused when it was %s", async (_what, change) => {
    const sealed = change(await seal(Buffer.alloc(3 * 65_536 + 4000, "ledger ")));
    await expect(open(sealed)).rejects.toThrow(/x\.age is corrupt or cut off/);
  });

  it("is not opened without an identity, nor by another's, and the message says which", async () => {
    const sealed = await seal(Buffer.from("ledger"));
    await expect(open(sealed, [])).rejects.toThrow(
      "x.age is encrypted, and no identity was given that opens it.",
    );
    await expect(open(sealed, [await generateX25519Identity()])).rejects.toThrow(
      "x.age is encrypted to another key than the one that was given.",
    );
  });

  it("passes on what its source fails with", async () => {
    const broken = async function* () {
      yield (await seal(Buffer.alloc(200_000))).subarray(0, 100_000);
      throw new Error("the line was cut");
    };
    await expect(collect(decrypted(broken(), [identity], "x.age"))).rejects.toThrow("the line was cut");
  });

  describe("read piece by piece from a file", () => {
    const file = async (content: Buffer, recorded = content) => {
      const path = join(directory, "dump");
      await writeFile(path, content);
      const sha256 = createHash("sha256").update(recorded).digest("hex");
      return { path, shown: "dump", bytes: content.length, sha256 };
    };
    const readAll = async (reader: Awaited<ReturnType<typeof openEncrypting>>) => {
      const all: Buffer[] = [];
      const buffer = Buffer.alloc(100_000);
      for (let piece = await reader.next(buffer); piece; piece = await reader.next(buffer))
        all.push(Buffer.from(piece.bytes));
      return Buffer.concat(all);
    };

    it("is the encryption of its bytes, of the size that was said before", async () => {
      const content = Buffer.alloc(777_777, "budgie ");
      const reader = await openEncrypting(await file(content), recipients);
      const sealed = await readAll(reader);
      await reader.close();
      expect(sealed.length).toBe(reader.file.bytes);
      expect((await open(sealed)).equals(content)).toBe(true);
    });

    it("never gives out its last piece when the file is not what was recorded", async () => {
      const content = Buffer.alloc(300_000, "budgie ");
      const other = Buffer.from(content);
      other.writeUInt8(7, 0);
      const reader = await openEncrypting(await file(content, other), recipients);
      await expect(readAll(reader)).rejects.toThrow("dump is corrupt: its bytes are not those");
      await reader.close();
    });
  });
});

describe("an age public key", () => {
  it("is taken as age-keygen prints it, and refused with a wrong letter, or of another kind", async () => {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    expect(isRecipient(recipient)).toBe(true);
    expect(isRecipient(recipient.replace(/.$/, last => (last === "q" ? "p" : "q")))).toBe(false);
    for (const other of [identity, "", "age1", "ssh-ed25519 AAAA", recipient.toUpperCase()])
      expect(isRecipient(other), other.slice(0, 10)).toBe(false);
    expect(splitRecipients(` ${recipient},\n${recipient} `)).toEqual([recipient, recipient]);
  });
});
