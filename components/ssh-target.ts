import ssh2 from "ssh2";

const USER = "[a-z_][a-z0-9_.-]*";
const HOST = "[a-z0-9][a-z0-9.-]*|\\[[0-9a-f:.]+\\]";
/** No `%`: in an address it would begin an escape, in a folder's name it would not. */
const FOLDER = "/[\\w.~+@=,/-]+";
const WITH_PORT = new RegExp(
  `^ssh://(?<user>${USER})@(?<host>${HOST})(:(?<port>\\d{1,5}))?(?<folder>${FOLDER})$`,
  "i",
);
const AS_SCP = new RegExp(`^(?<user>${USER})@(?<host>${HOST}):(?<folder>${FOLDER})$`, "i");

/**
 * The one spelling `ssh://user@host:port/folder` of what an operator wrote: that, without its port (22), or
 * `user@host:/folder` as scp has it. Undefined for anything else, a folder with `..` in it among that.
 */
export function sshTarget(written: string): string | undefined {
  const parts = (WITH_PORT.exec(written) ?? AS_SCP.exec(written))?.groups;
  if (!parts) return undefined;
  const port = Number(parts.port ?? 22);
  const folder = `${parts.folder}`.replace(/\/+/g, "/").replace(/\/$/, "");
  if (port < 1 || port > 65535 || folder === "" || folder.split("/").includes("..")) return undefined;
  return `ssh://${parts.user}@${parts.host}:${port}${folder}`;
}

/** Whether the text is a private key that opens without a passphrase: nobody is there to type one. */
export function isPlainPrivateKey(text: string): boolean {
  return parsedKey(text)?.isPrivateKey() ?? false;
}

/** Whether the text is a public key as `ssh-keyscan` prints it behind the host's name. */
export function isPublicKey(text: string): boolean {
  return /^\S+ \S+( .*)?$/.test(text) && parsedKey(text)?.isPrivateKey() === false;
}

function parsedKey(text: string): ssh2.ParsedKey | undefined {
  const parsed = ssh2.utils.parseKey(text);
  return parsed instanceof Error ? undefined : parsed;
}
