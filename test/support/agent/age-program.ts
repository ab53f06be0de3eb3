import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { aptInstall } from "../servers/apt-install.ts";

/** A key pair of `age-keygen`, and the `age` program, which shares no code with the agent's encryption. */
export interface AgeKey {
  /** The file that `age-keygen` wrote. */
  identityFile: string;
  identity: Buffer;
  recipient: string;
  /** Decrypts with `age -d -i key.txt`. */
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

async function installAge(): Promise<void> {
  const { exitCode } = await execa("age", ["--version"], { reject: false });
  if (exitCode === 0) return;
  await aptInstall("age", ["age"]);
}
