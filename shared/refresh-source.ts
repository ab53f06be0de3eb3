import { parseSshTarget, type SshTarget, sshTarget } from "./ssh-target.ts";

/** Where another stack's backups lie, for a refresh. */
export type RefreshPlace =
  | { kind: "directory"; path: string }
  | ({ kind: "s3" } & BucketPlace)
  | ({ kind: "ssh" } & SshTarget);

export interface BucketPlace {
  bucket: string;
  /** What the keys of that stack begin with, `prod/`; null where it was not written. */
  prefix: string | null;
  /** null where it was not written. */
  endpoint: string | null;
  region: string | null;
  pathStyle: boolean | null;
}

const PARAMETERS = ["endpoint", "region", "pathStyle"];

/**
 * Reads `s3://BUCKET`, `s3://BUCKET/PREFIX?endpoint=https://…&region=…&pathStyle=…`, `ssh://USER@HOST:PORT/FOLDER`, `USER@HOST:/FOLDER`,
 * or the path of a folder. Undefined for what is none of these.
 */
export function parseRefreshSource(text: string): RefreshPlace | undefined {
  if (text.startsWith("s3://")) {
    const place = parseBucket(text);
    return place && { kind: "s3", ...place };
  }
  const target = sshTarget(text);
  if (target !== undefined) return { kind: "ssh", ...(parseSshTarget(target) as SshTarget) };
  // The engine's mounts are written `host:container`.
  return /^[^:\p{Cc}]+$/u.test(text) ? { kind: "directory", path: text } : undefined;
}

function parseBucket(text: string): BucketPlace | undefined {
  const [, bucket, path = "", query = ""] =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?#\s]*))?(?:\?([^#\s]*))?$/.exec(text) ?? [];
  if (!bucket) return undefined;
  const parameters = new URLSearchParams(query);
  if ([...parameters.keys()].some(name => !PARAMETERS.includes(name))) return undefined;
  const endpoint = parameters.get("endpoint");
  const pathStyle = parameters.get("pathStyle");
  if (endpoint !== null && !isEndpoint(endpoint)) return undefined;
  if (pathStyle !== null && !/^(true|false)$/.test(pathStyle)) return undefined;
  return {
    bucket,
    prefix: path === "" ? null : path.replace(/\/*$/, "/"),
    endpoint,
    region: parameters.get("region"),
    pathStyle: pathStyle === null ? null : pathStyle === "true",
  };
}

/** A password in an address would be shown wherever the address is. */
function isEndpoint(text: string): boolean {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { username, password, pathname } = new URL(text);
  return username === "" && password === "" && pathname === "/";
}
