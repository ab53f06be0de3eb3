import { spawn } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";
import { makeCertificate } from "./tls.ts";

export interface GitServer {
  /** Of the repository: HOST/budgie/stack.git */
  address: string;
  /** The file with the certificate to trust. */
  certificate: string;
  stop(): Promise<void>;
}

/** An address without a port is what Pulumi takes for a package's: it has a colon for the end of a name. */
const HOST = "127.0.0.77";
const PORT = 443;

/** Serves the project as it is in its folder, changes that are not committed included, as one commit. */
export async function startGitServer(folder: string): Promise<GitServer> {
  await commitProject(join(folder, "budgie/stack.git"));
  const { key, certificate } = await makeCertificate(HOST, folder, "git");
  const server = createServer(
    { key: await readFile(key), cert: await readFile(certificate) },
    (request, response) => answer(folder, request, response),
  );
  await new Promise<void>(listening => server.listen(PORT, HOST, listening));
  return {
    address: `${HOST}/budgie/stack.git`,
    certificate,
    stop: () => new Promise(stopped => server.close(() => stopped())),
  };
}

async function commitProject(repository: string): Promise<void> {
  await mkdir(repository, { recursive: true });
  const listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const { stdout } = await execa("git", listed, { cwd: PROJECT_FOLDER });
  for (const name of stdout.split("\0").filter(Boolean)) {
    await mkdir(dirname(join(repository, name)), { recursive: true });
    // A file that was deleted is still listed.
    await cp(join(PROJECT_FOLDER, name), join(repository, name)).catch(() => {});
  }
  const who = ["-c", "user.name=A test", "-c", "user.email=test@example.com"];
  const git = (...args: string[]) => execa("git", [...who, ...args], { cwd: repository });
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--message=The project");
}

/** As a web server does it: by Git's own program, over CGI. */
function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? "/", `https://${HOST}`);
  const git = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      // The folder belongs to whoever runs the tests, which a CGI program cannot know.
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: String(searchParams),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      CONTENT_LENGTH: request.headers["content-length"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  request.pipe(git.stdin);
  const parts: Buffer[] = [];
  git.stdout.on("data", (part: Buffer) => parts.push(part));
  git.on("close", () => {
    const all = Buffer.concat(parts);
    const end = all.indexOf("\r\n\r\n");
    const head = all.subarray(0, end).toString().split("\r\n");
    for (const [name = "", value = ""] of head.map(line => line.split(/: (.*)/s)))
      if (name === "Status") response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    response.end(all.subarray(end + 4));
  });
}
