/** A folder on a server that is reached over ssh. */
export interface SshTarget {
  /** As it is shown: `ssh://user@host:22/folder`. */
  target: string;
  user: string;
  /** An IPv6 address without its brackets. */
  host: string;
  port: number;
  /** The folder on the server. */
  path: string;
}

const TARGET =
  /^ssh:\/\/(?<user>[^@/\s]+)@(?<host>\[[^\]\s]+\]|[^:/@\s]+)(:(?<port>\d{1,5}))?(?<path>\/.*)$/i;
const AS_SCP = /^([^@/\s]+@(?:\[[^\]\s]+\]|[^:/@\s]+)):(?=\/)/;

/** What an operator may write. No `%`: in an address it would begin an escape, in a folder's name it would not. */
const PLAIN = /^ssh:\/\/[a-z_][a-z0-9_.-]*@([a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\]):\d+\/[\w.~+@=,/-]+$/i;

/** Takes `ssh://user@host:port/folder` apart. Undefined for anything else. */
export function parseSshTarget(text: string): SshTarget | undefined {
  const { user, host, port = "22", path } = TARGET.exec(text)?.groups ?? {};
  if (!user || !host || !path) return undefined;
  return {
    target: `ssh://${user}@${host}:${Number(port)}${path}`,
    user,
    host: host.replace(/^\[|\]$/g, ""),
    port: Number(port),
    path,
  };
}

/**
 * The one spelling `ssh://user@host:port/folder` of what an operator wrote: that, without its port (22), or
 * `user@host:/folder` as scp has it. Undefined for anything else, a folder with `..` in it among that.
 */
export function sshTarget(written: string): string | undefined {
  const parsed = parseSshTarget(written.replace(AS_SCP, "ssh://$1"));
  if (!parsed || !PLAIN.test(parsed.target) || parsed.port < 1 || parsed.port > 65535) return undefined;
  const folder = parsed.path.replace(/\/+/g, "/").replace(/\/$/, "");
  if (folder === "" || folder.split("/").includes("..")) return undefined;
  return parsed.target.slice(0, -parsed.path.length) + folder;
}
