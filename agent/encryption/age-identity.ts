import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { Decrypter } from "age-encryption";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { keepSecret, takeSecret } from "../base/kept-secret.ts";

/**
 * Keeps private keys for one command. They are the operator's and stay on the operator's machine: here they come on standard
 * input, lie in memory, and are gone when the command that needs them begins.
 */
export async function keepIdentity(stdin: Readable): Promise<string> {
  return keepSecret("identity", parseIdentities(await text(stdin)).join("\n"));
}

/** Empty where none was kept for this command. Throws a Stop when one was kept and is not there. */
export async function takeIdentities(path: string | undefined): Promise<readonly string[]> {
  if (path === undefined) return [];
  const kept = await takeSecret("identity", path);
  if (kept !== null) return parseIdentities(kept);
  throw new Stop(
    EXIT.usage,
    `There is no identity at ${path}; it serves one command.`,
    "Use `npx budgie … --identity FILE`, which gives the agent an identity for this one command.",
  );
}

/** The keys in a file as `age-keygen` writes it. Never says what is in it. Throws a Stop when there is none. */
export function parseIdentities(file: string): string[] {
  const lines = file
    .split("\n")
    .map(line => line.trim())
    .filter(line => line !== "" && !line.startsWith("#"));
  const problem = whatIsWrong(lines);
  if (problem === null) return lines;
  throw new Stop(
    EXIT.usage,
    `The identity file ${problem}.`,
    "It is the file that `age-keygen -o key.txt` wrote, with a line that begins with AGE-SECRET-KEY-1.",
  );
}

function whatIsWrong(lines: readonly string[]): string | null {
  const [first = ""] = lines;
  if (first === "") return "holds no key";
  if (first.startsWith("age-encryption.org/") || first.startsWith("-----BEGIN AGE"))
    return "is encrypted itself; open it with `age -d` first";
  if (first.startsWith("age1")) return "holds a public key, and the private one is needed";
  if (first.startsWith("-----BEGIN")) return "holds a key of another kind, and age's own is needed";
  const decrypter = new Decrypter();
  try {
    for (const line of lines) decrypter.addIdentity(line);
    return null;
  } catch {
    return "holds something that is no private key of age's";
  }
}
