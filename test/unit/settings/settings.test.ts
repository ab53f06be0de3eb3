import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Configuration, parseSettings, SETTING_NAMES } from "../../../settings.ts";
import { DEFAULTS } from "../../support/stack/mocks.ts";

interface Declaration {
  type?: string;
  default?: unknown;
  description?: string;
  secret?: boolean;
}
const project = parse(readFileSync("Pulumi.yaml", "utf8")) as { config: Record<string, Declaration> };

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: () => ({}),
  });
});

function configuration(values: Record<string, string>, secrets: string[] = []): Configuration {
  return { stack: "dev", values: { ...DEFAULTS, ...values }, isSecret: name => secrets.includes(name) };
}

function refusal(values: Record<string, string>, secrets: string[] = []): string {
  try {
    parseSettings(configuration(values, secrets));
  } catch (error) {
    expect(pulumi.RunError.isInstance(error)).toBe(true);
    return (error as Error).message;
  }
  throw new Error("the settings were accepted");
}

describe("Pulumi.yaml", () => {
  it("declares every setting that is read, and no other", () => {
    expect(Object.keys(project.config).sort()).toEqual([...SETTING_NAMES].sort());
  });

  it("describes every setting, and its defaults are accepted as they are", () => {
    for (const [name, { description, default: value }] of Object.entries(project.config)) {
      expect(description, name).toMatch(/\.$/);
      if (name !== "databaseName") expect(DEFAULTS[`budgie:${name}`], name).toBe(String(value));
    }
    expect(() => parseSettings(configuration({}))).not.toThrow();
  });

  it("lets no stack start without saying which database is its own", () => {
    expect(project.config.databaseName?.default).toBe("");
    expect(refusal({ "budgie:databaseName": "" })).toContain("budgie:databaseName is not set.");
  });

  it("leaves every judgement to the program: the CLI would name one problem, and stop", () => {
    for (const [name, { type, default: value, secret }] of Object.entries(project.config)) {
      expect(type, name).toBe(secret ? undefined : "string");
      expect(value, name).toBeTypeOf("string");
    }
  });

  it("marks the secrets", () => {
    const secrets = Object.keys(project.config).filter(name => project.config[name]?.secret);
    expect(secrets).toEqual([
      "databasePassword",
      "sessionSecret",
      "heartbeatUrl",
      "alertUrl",
      "s3AccessKeyId",
      "s3SecretAccessKey",
      "s3WriterAccessKeyId",
      "s3WriterSecretAccessKey",
      "offsiteSshKey",
      "refreshAccessKeyId",
      "refreshSecretAccessKey",
      "refreshSshKey",
      "refreshIdentity",
    ]);
  });
});

describe("a wrong setting", () => {
  it("is named with what it got, what is allowed and what to type", () => {
    expect(refusal({ "budgie:httpPort": "eighty" })).toBe(
      [
        "A setting of stack dev is wrong. Nothing was changed.",
        "",
        'budgie:httpPort is "eighty".',
        "  allowed: a whole number from 1 to 65535",
        "  type:    npm run pulumi -- config set budgie:httpPort 8080",
      ].join("\n"),
    );
  });

  it("is listed with all the others in one message", () => {
    const message = refusal({
      "budgie:namePrefix": "Budgie!",
      "budgie:databaseName": "postgres",
      "budgie:destroyGraceSeconds": "5",
      "budgie:httpPrt": "80",
    });
    expect(message).toBe(
      [
        "4 settings of stack dev are wrong. Nothing was changed.",
        "",
        'budgie:namePrefix is "Budgie!".',
        "  allowed: 1 to 30 lower-case letters, digits and single hyphens, with a letter first and no hyphen last",
        "  type:    npm run pulumi -- config set budgie:namePrefix budgie",
        "",
        'budgie:databaseName is "postgres".',
        "  allowed: 1 to 40 lower-case letters, digits and underscores, not beginning with a digit, and not a name of PostgreSQL's own",
        "  type:    npm run pulumi -- config set budgie:databaseName budgie_dev",
        "",
        'budgie:destroyGraceSeconds is "5".',
        "  allowed: a whole number of seconds from 60 to 3600",
        "  type:    npm run pulumi -- config set budgie:destroyGraceSeconds 60",
        "",
        "budgie:httpPrt is not a setting. Did you mean budgie:httpPort?",
        "  type:    npm run pulumi -- config rm budgie:httpPrt",
      ].join("\n"),
    );
  });

  it("is never shown when it is a secret, nor when its name is unknown", () => {
    const message = refusal(
      {
        "budgie:databasePassword": "can ary",
        "budgie:backupDir": "canary:secret",
        "budgie:databasPassword": "canary",
      },
      ["budgie:databasePassword", "budgie:backupDir"],
    );
    expect(message).not.toMatch(/can ?ary/);
    expect(message).toContain("budgie:databasePassword has a value that is not usable.");
    expect(message).toContain("budgie:backupDir has a value that is not usable.");
    expect(message).toContain(
      "budgie:databasPassword is not a setting. Did you mean budgie:databasePassword?",
    );
  });

  it("is a password in plain text", () => {
    const message = refusal({ "budgie:databasePassword": "canary-password" });
    expect(message).toBe(
      [
        "A setting of stack dev is wrong. Nothing was changed.",
        "",
        "budgie:databasePassword is in plain text in Pulumi.dev.yaml. Consider it known to others.",
        "  type:    npm run pulumi -- config set --secret budgie:databasePassword",
      ].join("\n"),
    );
  });

  it("is a password that is easily guessed, or used twice", () => {
    const secrets = ["budgie:databasePassword", "budgie:sessionSecret"];
    for (const weak of ["Password123", "aaaaaaaab", "12345678!", "budgie_user"])
      expect(refusal({ "budgie:databasePassword": weak }, secrets)).toContain(
        "budgie:databasePassword is easily guessed. Leave it out and one is generated, or take another.",
      );
    const twice = "correct-horse-battery-staple-of-ours";
    const message = refusal({ "budgie:databasePassword": twice, "budgie:sessionSecret": twice }, secrets);
    expect(message).toContain("budgie:sessionSecret is the same as budgie:databasePassword.");
    expect(message).not.toContain("horse");
  });

  it("is said to be missing when it is", () => {
    const { "budgie:databaseName": _, ...rest } = DEFAULTS;
    expect(() => parseSettings({ stack: "dev", values: rest, isSecret: () => false })).toThrow(
      "budgie:databaseName is not set.",
    );
  });
});

describe("settings that contradict each other", () => {
  it.each([
    [
      { "budgie:backendImage": "budgie:1", "budgie:backendContext": "./backend" },
      "budgie:backendImage and budgie:backendContext are both set; the API can have one of them.",
    ],
    [
      { "budgie:backendTarget": "production" },
      "budgie:backendTarget is set, but budgie:backendContext, which it belongs to, is not.",
    ],
    [
      { "budgie:databasePort": "8080", "budgie:httpPort": "8080" },
      "budgie:databasePort and budgie:httpPort are both 8080.",
    ],
    [
      { "budgie:statusPort": "5433", "budgie:databasePort": "5433" },
      "budgie:statusPort and budgie:databasePort are both 5433.",
    ],
    [
      { "budgie:pointInTime": "true", "budgie:offsiteKeepDays": "10" },
      "budgie:offsiteKeepDays is 10, but with budgie:pointInTime it must be at least 14: a base backup is taken every 7 days",
    ],
    [
      { "budgie:backendContext": "./nowhere" },
      `budgie:backendContext is "./nowhere", and there is no folder ${process.cwd()}/nowhere.`,
    ],
    [
      { "budgie:backendContext": "./docs-or-any", "budgie:backendDockerfile": "../../etc/passwd" },
      'budgie:backendDockerfile is "../../etc/passwd".',
    ],
    [{ "budgie:backendContext": "./a\0b" }, 'budgie:backendContext is "./a\\u0000b".'],
    [{ "budgie:backupDir": "./a\0b" }, 'budgie:backupDir is "./a\\u0000b".'],
    [{ "budgie:backupDir": "." }, 'budgie:backupDir is ".".'],
    [{ "budgie:backupDir": "/" }, 'budgie:backupDir is "/".'],
  ])("%o is refused", (values, problem) => {
    expect(refusal(values)).toContain(problem);
  });
});

describe("a production stack", () => {
  const attempt = (stack: string, values: Record<string, string> = {}) => {
    try {
      parseSettings({ ...configuration(values), stack });
      return "accepted";
    } catch (error) {
      return (error as Error).message;
    }
  };

  it.each(["prod", "production", "prod-eu", "acme.production"])(
    "(%s) has its backups on another machine, or says that it has not",
    stack => {
      expect(attempt(stack)).toBe(
        [
          `A setting of stack ${stack} is wrong. Nothing was changed.`,
          "",
          `budgie:objectStore is local, and there is no budgie:offsiteSsh: all backups of ${stack} would be on one machine with its data. budgie:backupsOnThisMachineOnly true accepts that.`,
          "  type:    npm run pulumi -- config set budgie:objectStore aws",
        ].join("\n"),
      );
      expect(attempt(stack, { "budgie:objectStore": "none" })).toContain("budgie:objectStore is none, and");
      expect(attempt(stack, { "budgie:backupsOnThisMachineOnly": "true" })).toBe("accepted");
      expect(attempt(stack, { "budgie:objectStore": "aws", "budgie:bucket": "our-backups" })).toBe(
        "accepted",
      );
    },
  );

  it("is known by its name, and nothing is asked of others", () => {
    for (const stack of ["dev", "staging", "reproduction", "products"])
      expect(attempt(stack)).toBe("accepted");
  });

  it("does not keep the word that hides it when its copies are taken away", () => {
    const values = { "budgie:objectStore": "aws", "budgie:bucket": "our-backups" };
    expect(attempt("prod", { ...values, "budgie:backupsOnThisMachineOnly": "true" })).toContain(
      "budgie:backupsOnThisMachineOnly is true, and every backup is sent to another machine.",
    );
  });
});

describe("accepted settings", () => {
  it("are typed, and those that are not set are undefined", () => {
    const settings = parseSettings(configuration({ "budgie:httpPort": "8080" }));
    expect(settings).toEqual({
      stack: "dev",
      namePrefix: "budgie",
      databaseName: "budgie_dev",
      postgresVersion: "16",
      databasePassword: undefined,
      databasePort: undefined,
      statusPort: undefined,
      sessionSecret: undefined,
      httpPort: 8080,
      httpAddress: "127.0.0.1",
      backend: { from: "project" },
      backendSecretsInEnvironment: false,
      backends: 1,
      frontendUrl: undefined,
      backupDir: "./backups",
      backupFormat: "sql",
      backupPolicy: {
        schedule: "0 2 * * *",
        timeZone: "UTC",
        jitterSeconds: 0,
        keep: { days: 7, atLeast: 3, weeks: 4, months: 12 },
        pointInTime: false,
      },
      backupRecipients: [],
      alerts: { heartbeat: undefined, urls: undefined },
      engineHost: undefined,
      destroyGraceSeconds: 60,
      databaseMemoryMegabytes: 1024,
      objectStore: {
        kind: "local",
        bucket: "budgie-backups",
        region: "us-east-1",
        image: "pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
        lifecycle: { keepDays: 90, noncurrentDays: 30, transition: undefined, lockDays: 0 },
      },
      ssh: undefined,
    });
  });

  it("take no backups by themselves when the schedule is empty", () => {
    const { backupPolicy } = parseSettings(configuration({ "budgie:backupSchedule": "" }));
    expect(backupPolicy.schedule).toBeUndefined();
  });

  it.each([
    ["backupSchedule", "0 2 * *"],
    ["backupSchedule", "0 0 30 2 *"],
    ["timezone", "Europe/Berln"],
    ["keepDays", "0"],
  ])("do not have %s %j", (name, value) => {
    expect(refusal({ [`budgie:${name}`]: value })).toContain(`budgie:${name} is ${JSON.stringify(value)}.`);
  });

  it("keep a configured password secret", async () => {
    const settings = parseSettings(
      configuration({ "budgie:databasePassword": "canary-password" }, ["budgie:databasePassword"]),
    );
    expect(await pulumi.isSecret(settings.databasePassword as pulumi.Output<string>)).toBe(true);
  });

  it("may be followed by settings of other namespaces", () => {
    expect(() => parseSettings(configuration({ "docker:host": "x", "pulumi:tags": "{}" }))).not.toThrow();
  });
});

describe("any configuration at all", () => {
  const value = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.integer().map(String),
    fc.constantFrom(
      "",
      "0",
      "true",
      "false",
      "sql",
      "budgie_dev",
      "127.0.0.1",
      "http://localhost",
      "{}",
      "null",
    ),
  );
  const name = fc.oneof(
    fc.constantFrom(...SETTING_NAMES).map(name => `budgie:${name}`),
    fc.string().map(name => `budgie:${name}`),
    fc.string(),
  );

  it("is accepted, or refused with every problem named; it never crashes", () => {
    fc.assert(
      fc.property(fc.dictionary(name, value, { noNullPrototype: true }), fc.boolean(), (values, complete) => {
        const all = complete ? { ...DEFAULTS, ...values } : values;
        const attempt = { stack: "dev", values: all, isSecret: () => true };
        try {
          parseSettings(attempt);
        } catch (error) {
          if (!pulumi.RunError.isInstance(error)) throw error;
          for (const unknown of Object.keys(all).filter(isUnknown)) expect(error.message).toContain(unknown);
          for (const wrong of wrongAlone(all)) expect(error.message).toContain(`budgie:${wrong} `);
          return;
        }
        expect(Object.keys(all).filter(isUnknown)).toEqual([]);
        expect(wrongAlone(all)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  }, 120_000);

  it("that is accepted gives names that need no quoting in SQL or in a container's name", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (databaseName, namePrefix) => {
        try {
          const settings = parseSettings(
            configuration({ "budgie:databaseName": databaseName, "budgie:namePrefix": namePrefix }),
          );
          expect(settings.databaseName).toMatch(/^[a-z_][a-z0-9_]*$/);
          expect(settings.namePrefix).toMatch(/^[a-z][a-z0-9-]*$/);
        } catch (error) {
          if (!pulumi.RunError.isInstance(error)) throw error;
        }
      }),
    );
  });

  function isUnknown(name: string): boolean {
    return name.startsWith("budgie:") && !(SETTING_NAMES as string[]).includes(name.slice("budgie:".length));
  }

  /** The settings that are refused even when all others are fine. */
  function wrongAlone(values: Record<string, string>): string[] {
    return SETTING_NAMES.filter(name => isWrongAlone(name, values[`budgie:${name}`]));
  }

  /** Most settings of most configurations have their default, or none: each value is judged once. */
  const judged = new Map<string, boolean>();
  function isWrongAlone(name: string, raw: string | undefined): boolean {
    const key = JSON.stringify([name, raw]);
    const wrong = judged.get(key) ?? judgeAlone(name, raw);
    judged.set(key, wrong);
    return wrong;
  }

  function judgeAlone(name: string, raw: string | undefined): boolean {
    const others = Object.fromEntries(
      Object.entries(DEFAULTS).filter(([other]) => other !== `budgie:${name}`),
    );
    try {
      parseSettings({
        stack: "dev",
        values: raw === undefined ? others : { ...others, [`budgie:${name}`]: raw },
        isSecret: () => true,
      });
      return false;
    } catch (error) {
      const { message } = error as Error;
      return [`budgie:${name} has a value that is not usable.`, `budgie:${name} is not set.`].some(line =>
        message.includes(line),
      );
    }
  }
});
