import { createHash } from "node:crypto";
import ssh2 from "ssh2";
import type { SshSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

/** A server's public key, as the operator wrote it down or as a server showed it. */
export interface HostKey {
  /** `ssh-ed25519` */
  type: string;
  blob: Buffer;
}

/** Reads `ssh-ed25519 AAAA…`, with or without a comment. Throws a Stop when it is no public key. */
export function parseHostKey(line: string): HostKey {
  const parsed = ssh2.utils.parseKey(line);
  if (parsed instanceof Error || parsed.isPrivateKey()) {
    throw new Stop(
      EXIT.storeRefused,
      "`budgie:offsiteSshHostKey` is not a public key.",
      "It is one line such as `ssh-ed25519 AAAA…`: on the server, cat /etc/ssh/ssh_host_ed25519_key.pub",
    );
  }
  return { type: parsed.type, blob: parsed.getPublicSSH() };
}

/** Reads a key as a server shows it: its type, by its length, stands first. */
export function shownHostKey(blob: Buffer): HostKey {
  return { type: blob.toString("latin1", 4, 4 + blob.readUInt32BE(0)), blob };
}

/** `ssh-ed25519 AAAA…` */
export function keyLine({ type, blob }: HostKey): string {
  return `${type} ${blob.toString("base64")}`;
}

/** `SHA256:…`, as `ssh-keygen -l` prints it. */
export function fingerprint({ blob }: HostKey): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/**
 * The signatures that prove a key of this type. A server has keys of several types and shows the one that the client asks for
 * first, so the client asks for these before all others.
 */
export function signaturesOf(type: string): readonly ("rsa-sha2-512" | "rsa-sha2-256" | "ssh-ed25519")[] {
  return type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type as "ssh-ed25519"];
}

/** There is no trust on first use: a server with another key gets nothing, not even a try to log in. */
export function otherHostKey(settings: SshSettings, expected: HostKey, shown: HostKey): Stop {
  const line = keyLine(shown);
  return new Stop(
    EXIT.storeRefused,
    `The server at ${settings.host}, port ${settings.port}, is not the one that \`budgie:${settings.setting}HostKey\` names: ` +
      `its key is ${shown.type} ${fingerprint(shown)}, expected was ${expected.type} ${fingerprint(expected)}. Nothing was sent.`,
    `Somebody may stand between. Compare on the server itself: ssh-keygen -lf /etc/ssh/${fileOf(shown)}. Only if it prints ` +
      `${fingerprint(shown)}: npm run pulumi -- config set budgie:${settings.setting}HostKey "${line}", then npm run pulumi -- up.`,
  );
}

function fileOf({ type }: HostKey): string {
  const name = type.startsWith("ecdsa") ? "ecdsa" : type.replace("ssh-", "");
  return `ssh_host_${name}_key.pub`;
}
