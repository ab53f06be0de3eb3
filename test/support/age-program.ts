import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** A key pair as `age-keygen` makes it, and the program itself: it shares no code with what the agent encrypts with. */
export interface AgeKey {
  /** The file that `age-keygen` wrote. */
  identityFile: string;
  identity: Buffer;
  recipient: string;
  /** What `age -d -i key.txt` makes of it. */
  decrypt(sealed: Buffer): Promise<Buffer>;
  remove(): Promise<void>;
}

export async function makeAgeKey(): Promise<AgeKey> {
  await installAge();
  const directory = await mkdtemp(join(tmpdir(), "budgie-age-"));
  const identityFile = join(directory, "key.txt");
  await execa("age-keygen", ["-o", identityFile]);
  const { stdout: recipient } = await execa("age-keygen", ["-y", identityFile]);
  return {
    identityFile,
    identity: await readFile(identityFile),
    recipient,
    decrypt: async sealed => {
      const file = join(directory, "sealed.age");
      await writeFile(file, sealed);
      const asItIs = { encoding: "buffer", stripFinalNewline: false } as const;
      const { stdout } = await execa("age", ["-d", "-i", identityFile, file], asItIs);
      return Buffer.from(stdout);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** On Debian, as root. */
async function installAge(): Promise<void> {
  const { exitCode } = await execa("age", ["--version"], { reject: false });
  if (exitCode === 0) return;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get"))
    throw new Error("The tests of encrypted copies need age: install the package age.");
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await execa("apt-get", ["update"], { env });
  await execa("apt-get", ["install", "-y", "--no-install-recommends", "age"], { env });
}
