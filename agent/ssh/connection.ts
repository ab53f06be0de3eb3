import { readFile } from "node:fs/promises";
import ssh2, { type Client, type SFTPWrapper } from "ssh2";
import type { SshSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { type HostKey, keyLine, otherHostKey, parseHostKey, shownHostKey, signaturesOf } from "./host-key.ts";
import { type Ask, questions, SILENCE_MS } from "./questions.ts";

/** TCP, the handshake and the login together. */
const CONNECT_WITHIN_MS = 10_000;

/** One login, and the questions that are put over it. */
export interface SshConnection {
  settings: SshSettings;
  client: Client;
  sftp: SFTPWrapper;
  ask: Ask;
}

/**
 * Logs in, runs `work`, and ends the connection. Ends it at once when `signal` aborts, and throws its reason. Nothing is sent to a
 * server with another key than the configured one. Throws a Stop: storeUnreachable when the server does not answer or stops
 * answering, storeRefused when it may not be used.
 */
export async function withSshConnection<T>(
  settings: SshSettings,
  work: (connection: SshConnection) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const expected = parseHostKey(settings.hostKey);
  const key = await readPrivateKey(settings);
  const client = new ssh2.Client();
  const { ask, end } = questions(seconds => unreachable(settings, `it has not answered for ${seconds} s`));
  // These stay to the end: an error that nobody hears would end the agent.
  client.on("error", error => end(unreachable(settings, `the connection was lost: ${error.message}`)));
  client.on("close", () => end(unreachable(settings, "the connection was cut")));
  const abort = () => {
    end(signal?.reason);
    client.destroy();
  };
  signal?.addEventListener("abort", abort);
  try {
    await logIn(client, settings, expected, key);
    const sftp = await ask<SFTPWrapper>(answer => client.sftp(answer)).catch((error: Error) => {
      throw error instanceof Stop ? error : noSftp(settings, error);
    });
    sftp.once("close", () => end(unreachable(settings, "it ended the transfer")));
    return await work({ settings, client, sftp, ask });
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", abort);
    client.destroy();
  }
}

function logIn(client: Client, settings: SshSettings, expected: HostKey, key: PrivateKey): Promise<void> {
  let shown: HostKey | null = null;
  return new Promise((resolve, reject) => {
    client.once("ready", resolve);
    client.once("error", error => reject(whyNot(settings, error, { expected, shown, key })));
    client.once("close", () => reject(unreachable(settings, "it closed the connection")));
    client.connect({
      host: settings.host,
      port: settings.port,
      username: settings.user,
      privateKey: key.text,
      authHandler: ["publickey"],
      readyTimeout: CONNECT_WITHIN_MS,
      // After two pings without an answer, the third is not sent.
      keepaliveInterval: SILENCE_MS / 3,
      keepaliveCountMax: 2,
      algorithms: {
        serverHostKey: {
          remove: [...signaturesOf(expected.type)],
          prepend: [...signaturesOf(expected.type)],
          append: [],
        },
      },
      hostVerifier: (blob: Buffer) => {
        shown = shownHostKey(blob);
        return shown.blob.equals(expected.blob);
      },
    });
  });
}

interface PrivateKey {
  text: string;
  /** What the server's authorized_keys needs. */
  publicLine: string;
}

async function readPrivateKey(settings: SshSettings): Promise<PrivateKey> {
  const text = await readFile(settings.keyFile, "utf8").catch((error: Error) => {
    throw badKey(settings, `cannot be read: ${error.message}`);
  });
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) {
    const locked = /encrypted/i.test(key.message);
    throw badKey(settings, locked ? "is locked with a passphrase" : "is not an OpenSSH private key");
  }
  if (!key.isPrivateKey()) throw badKey(settings, "is a public key, not a private one");
  return { text, publicLine: keyLine({ type: key.type, blob: key.getPublicSSH() }) };
}

function badKey({ setting }: SshSettings, what: string): Stop {
  return new Stop(
    EXIT.storeRefused,
    `The ssh key in \`budgie:${setting}Key\` ${what}.`,
    `Make one for this alone: ssh-keygen -t ed25519 -N '' -f offsite-key; npm run pulumi -- config set --secret budgie:${setting}Key < offsite-key; npm run pulumi -- up.`,
  );
}

function whyNot(
  settings: SshSettings,
  error: Error & { level?: string; code?: string },
  { expected, shown, key }: { expected: HostKey; shown: HostKey | null; key: PrivateKey },
): Stop {
  if (shown && !shown.blob.equals(expected.blob)) return otherHostKey(settings, expected, shown);
  if (error.level === "client-authentication") {
    return new Stop(
      EXIT.storeRefused,
      `The server ${settings.host} does not let ${settings.user} in with the key in \`budgie:${settings.setting}Key\`.`,
      `Add this line to ~${settings.user}/.ssh/authorized_keys there: restrict,command="internal-sftp" ${key.publicLine}`,
    );
  }
  if (error.level === "handshake") {
    return new Stop(
      EXIT.storeRefused,
      `The server ${settings.host} and the agent found no way to speak to each other: ${error.message}.`,
      "See which ssh server runs there, and that it offers algorithms of the last ten years.",
    );
  }
  // A name with several addresses, of which none answers, is an error without a message.
  return unreachable(settings, error.message || error.code || "no answer");
}

function noSftp(settings: SshSettings, error: Error): Stop {
  return new Stop(
    EXIT.storeRefused,
    `The server ${settings.host} lets ${settings.user} in but gives no SFTP: ${error.message}.`,
    "Its sshd_config needs the line: Subsystem sftp internal-sftp",
  );
}

export function unreachable(settings: SshSettings, why: string): Stop {
  return new Stop(
    EXIT.storeUnreachable,
    `The server ${settings.host}, port ${settings.port}, cannot be reached over ssh: ${why}.`,
    "The backups here are good, and are sent when it answers again. To send them now: npx budgie push",
  );
}
