import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { create } from "tar";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PROJECT_FOLDER } from "../../../../shared/project-folder.ts";
import { packageVersion } from "../../../../toolchain/machine/project.ts";
import {
  type Answer,
  byAddress,
  half,
  listen,
  sha256,
  status,
  stop,
  whole,
} from "../../../support/faults/download-site.ts";
import { type ConnectProxy, startConnectProxy } from "../../../support/servers/connect-proxy.ts";

const VERSION = "3.256.0";
const CLI = `pulumi-v${VERSION}-${process.platform}-${process.arch}.tar.gz`;
const CHECKSUMS = `pulumi-${VERSION}-checksums.txt`;
const COMMAND = packageVersion("@pulumi/command");
const PLUGIN = `pulumi-resource-command-v${COMMAND}-${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}.tar.gz`;
const [PULUMI, GITHUB] = [
  "get.pulumi.com/releases/sdk",
  `github.com/pulumi/pulumi/releases/download/v${VERSION}`,
];

let folder: string;
let home: string;
let cli: Buffer;
let plugin: Buffer;
let proxy: ConnectProxy;
let answers: Record<string, Answer>;
let site: ReturnType<typeof createServer>;

/** The two sites, as far as a client can tell: with their names in a certificate, behind a proxy that leads there. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-test-release-"));
  const names = "subjectAltName=DNS:get.pulumi.com,DNS:github.com";
  const made = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=test",
  ];
  await execa(
    "openssl",
    ["req", "-x509", ...made, "-addext", names, "-keyout", "key.pem", "-out", "cert.pem"],
    { cwd: folder },
  );
  const [key, cert] = await Promise.all(["key.pem", "cert.pem"].map(name => readFile(join(folder, name))));
  site = createServer({ key, cert }, (request, response) => byAddress(answers)(request, response));
  proxy = await startConnectProxy(await listen(site));
  cli = await archive("pulumi", {
    pulumi: `#!/bin/sh\necho v${VERSION}\n`,
    "pulumi-language-nodejs": "#!/bin/sh\n",
  });
  plugin = await archive(".", { "pulumi-resource-command": "#!/bin/sh\n", LICENSE: "free" });
});
afterAll(async () => {
  await proxy.stop();
  await stop(site);
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  home = await mkdtemp(join(folder, "home-"));
  proxy.asked.length = 0;
  answers = { "get.pulumi.com/": status(200), "github.com/": status(200) };
});
afterEach(() => rm(home, { recursive: true }));

async function archive(top: string, files: Record<string, string>): Promise<Buffer> {
  const at = await mkdtemp(join(folder, "archive-"));
  await mkdir(join(at, top), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(at, top, name), text);
    await chmod(join(at, top, name), 0o755);
  }
  const file = join(folder, `${top === "." ? "plugin" : top}.tar.gz`);
  await create({ file, cwd: at, gzip: true }, top === "." ? Object.keys(files) : [top]);
  return readFile(file);
}

const checksums = (of: Buffer) => whole(`${"0".repeat(64)}  other.tar.gz\n${sha256(of)}  ${CLI}\n`);

/** In a process of its own, as `npm run up` asks, on a machine that has no program at all: no curl, tar, npm or Go. */
async function ask(what: "pulumiCli()" | 'resourcePlugins(pulumiCli(), ["command"])') {
  const module = what.startsWith("pulumi") ? ["pulumi-cli"] : ["pulumi-cli", "plugins"];
  const start = JSON.stringify(join(PROJECT_FOLDER, "shared", "run-program.mjs"));
  const imports = module.map(
    name => `const m${name.length} = await runProgram("toolchain/machine/${name}.ts");`,
  );
  const scope = module.map(name => `...m${name.length}`).join(", ");
  const script = `import { runProgram } from ${start}; ${imports.join("")}const { pulumiCli, resourcePlugins } = { ${scope} }; console.log(JSON.stringify(await ${what}));`;
  const { stdout, stderr, exitCode } = await execa(process.execPath, ["--input-type=module", "-e", script], {
    cwd: PROJECT_FOLDER,
    extendEnv: false,
    reject: false,
    env: {
      HOME: home,
      PATH: join(home, "nothing"),
      BUDGIE_CACHE: join(home, "cache"),
      HTTPS_PROXY: `http://${proxy.address}`,
      NODE_EXTRA_CA_CERTS: join(folder, "cert.pem"),
    },
  });
  return { found: exitCode === 0 ? JSON.parse(stdout) : undefined, stderr };
}

const binaries = () => join(home, ".pulumi", "versions", VERSION, "bin");
const unfinished = async () => {
  const all = (await readdir(home, { recursive: true })).filter(name => /unfinished|\.tar\.gz$/.test(name));
  return all.filter(name => !name.includes("/locks/"));
};

describe("the Pulumi CLI", () => {
  it("comes whole through the proxy, where Pulumi's tools look for it, without any other program", async () => {
    answers[`${PULUMI}/${CLI}`] = whole(cli);
    answers[`${PULUMI}/${CHECKSUMS}`] = checksums(cli);
    const { found, stderr } = await ask("pulumiCli()");
    expect(found, stderr).toEqual({ folder: binaries(), version: VERSION, origin: "official" });
    expect((await readdir(binaries())).sort()).toEqual(["pulumi", "pulumi-language-nodejs"]);
    expect(new Set(proxy.asked)).toEqual(new Set(["get.pulumi.com:443", "github.com:443"]));
    expect(await unfinished()).toEqual([]);
    // Nothing is asked for what is there.
    proxy.asked.length = 0;
    expect((await ask("pulumiCli()")).found).toMatchObject({ origin: "official" });
    expect(proxy.asked).toEqual([]);
  });

  it.each<[string, () => Record<string, Answer>]>([
    [
      "says that it has none",
      () => ({ [`${PULUMI}/${CLI}`]: status(403), [`${PULUMI}/${CHECKSUMS}`]: checksums(cli) }),
    ],
    [
      "always breaks off",
      () => ({ [`${PULUMI}/${CLI}`]: half(cli), [`${PULUMI}/${CHECKSUMS}`]: checksums(cli) }),
    ],
    [
      "gives another file",
      () => ({ [`${PULUMI}/${CLI}`]: whole(plugin), [`${PULUMI}/${CHECKSUMS}`]: checksums(cli) }),
    ],
    [
      "has no checksum of it",
      () => ({ [`${PULUMI}/${CLI}`]: whole(cli), [`${PULUMI}/${CHECKSUMS}`]: whole("") }),
    ],
  ])("comes from the other site when the first one %s", async (_, first) => {
    answers = {
      ...answers,
      ...first(),
      [`${GITHUB}/${CLI}`]: whole(cli),
      [`${GITHUB}/${CHECKSUMS}`]: checksums(cli),
    };
    const { found, stderr } = await ask("pulumiCli()");
    expect(found, stderr).toMatchObject({ origin: "official" });
  });

  it("is put in place of what a killed installation left", async () => {
    await mkdir(binaries(), { recursive: true });
    await writeFile(join(binaries(), "pulumi"), "half a program", { mode: 0o755 });
    answers[`${PULUMI}/${CLI}`] = whole(cli);
    answers[`${PULUMI}/${CHECKSUMS}`] = checksums(cli);
    const { found, stderr } = await ask("pulumiCli()");
    expect(found, stderr).toMatchObject({ origin: "official" });
  });

  it.each<[string, Answer, string[]]>([
    [
      "no site has it",
      status(404),
      [`get.pulumi.com has no ${CHECKSUMS} (404); github.com has no`, "Install the Pulumi CLI"],
    ],
    [
      "the sites limit what is downloaded",
      status(429, { "retry-after": "1800" }),
      ["limits how often it is asked from here (429), until", "(in 30 minutes)", "Wait for that time"],
    ],
    [
      "the sites have a fault",
      status(503, { "retry-after": "600" }),
      ["fault of its own (503)", "Run the same command again in some minutes"],
    ],
  ])(
    "is not built from its sources where %s: the message names the cause and the way on",
    async (_, answer, says) => {
      for (const at of [PULUMI, GITHUB])
        for (const file of [CLI, CHECKSUMS]) answers[`${at}/${file}`] = answer;
      const { found, stderr } = await ask("pulumiCli()");
      expect(found).toBeUndefined();
      for (const text of [`the Pulumi CLI ${VERSION} could not be downloaded: `, ...says])
        expect(stderr).toContain(text);
      expect(stderr).not.toContain("Building");
      expect(await unfinished()).toEqual([]);
    },
  );

  it("is built from its sources where the sites refuse it, and the message says both", async () => {
    for (const at of [PULUMI, GITHUB])
      for (const file of [CLI, CHECKSUMS]) answers[`${at}/${file}`] = status(403);
    const { stderr } = await ask("pulumiCli()");
    expect(stderr).toContain(
      `get.pulumi.com refuses ${CHECKSUMS} (403); github.com refuses ${CHECKSUMS} (403)`,
    );
    expect(stderr).toContain("building them takes Go 1.26 (there is none)");
  });
});

describe("a plugin", () => {
  const at = `get.pulumi.com/releases/plugins/${PLUGIN}`;
  const place = () => join(home, ".pulumi", "plugins", `resource-command-v${COMMAND}`);

  beforeEach(() => {
    answers[`${PULUMI}/${CLI}`] = whole(cli);
    answers[`${PULUMI}/${CHECKSUMS}`] = checksums(cli);
  });

  it("comes whole, where Pulumi looks for it; only those that are wanted", async () => {
    answers[at] = whole(plugin);
    const { found, stderr } = await ask('resourcePlugins(pulumiCli(), ["command"])');
    expect(found, stderr).toEqual({
      plugins: [{ name: "command", version: COMMAND, origin: "official" }],
      files: [join(place(), "pulumi-resource-command")],
    });
    expect((await readdir(place())).sort()).toEqual(["LICENSE", "pulumi-resource-command"]);
  });

  it("comes again when Pulumi's own installation of it was cut off", async () => {
    answers[at] = whole(plugin);
    await mkdir(place(), { recursive: true });
    await writeFile(join(place(), "pulumi-resource-command"), "half");
    await writeFile(`${place()}.partial`, "");
    await ask('resourcePlugins(pulumiCli(), ["command"])');
    expect(await readFile(join(place(), "pulumi-resource-command"), "utf8")).toBe("#!/bin/sh\n");
    expect(existsSync(`${place()}.partial`)).toBe(false);
  });

  it("that cannot be unpacked is none, though every byte came", async () => {
    answers[at] = whole(plugin.subarray(0, plugin.length - 20));
    const { found, stderr } = await ask('resourcePlugins(pulumiCli(), ["command"])');
    expect(found).toBeUndefined();
    expect(stderr).toContain(`what get.pulumi.com gave as ${PLUGIN} cannot be unpacked`);
    expect(existsSync(place())).toBe(false);
    expect(await unfinished()).not.toContainEqual(expect.stringContaining("command"));
  });
});
