import fc from "fast-check";
import { BACKUP_FORMATS } from "../../../shared/backup-format.ts";
import { DEFAULTS } from "./mocks.ts";

/** A stack's settings as an operator may have written them, and what is wrong with them. */
export interface SettingsFile {
  stack: string;
  /** By short name, e.g. httpPort. A setting that is left out has its default. */
  values: Record<string, string>;
  /** Those that are encrypted. */
  secrets: string[];
  /** For each thing that is wrong, how its message must begin. */
  problems: string[];
}

/** One thing that is wrong. Faults with different `about` touch different settings, so they can be combined. */
interface Fault {
  about: string;
  values: Record<string, string>;
  secrets?: string[];
  problem: string;
}

const KEY = "an-access-key-1";
const SSH_HOST_KEY = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString("base64")}`;

const word = (first: string, rest: string, length: number) =>
  fc
    .tuple(
      fc.constantFrom(...first),
      fc.string({ unit: fc.constantFrom(...rest), minLength: 2, maxLength: length }),
    )
    .map(([a, b]) => a + b);
const letters = "abcdefghijklmnopqrstuvwxyz";
const number = (min: number, max: number) => fc.integer({ min, max }).map(String);

/** Each is valid alone and with every other. */
const harmless: Record<string, fc.Arbitrary<string>> = {
  namePrefix: word(letters, `${letters}0123456789`, 12),
  databaseName: word(letters, `${letters}0123456789_`, 20).map(name => `${name}_dev`),
  httpPort: number(1, 29_999),
  databasePort: fc.oneof(fc.constant("0"), number(30_000, 49_999)),
  statusPort: fc.oneof(fc.constant("0"), number(50_000, 65_535)),
  httpAddress: fc.ipV4(),
  frontendUrl: fc.webUrl(),
  backupDir: word(letters, letters, 12).map(name => `./backups-${name}`),
  backupFormat: fc.constantFrom(...BACKUP_FORMATS),
  backupSchedule: fc.constantFrom("", "0 2 * * *", "*/15 * * * *", "30 3 * * 1-5", "0 4 L * *"),
  timezone: fc.constantFrom("UTC", "Europe/Berlin", "Asia/Kathmandu"),
  backupJitterSeconds: number(0, 86_400),
  keepDays: number(1, 400),
  keepAtLeast: number(1, 50),
  keepWeeks: number(0, 60),
  keepMonths: number(0, 60),
  destroyGraceSeconds: number(60, 3600),
  backendSecretsInEnvironment: fc.constantFrom("true", "false"),
  region: fc.constantFrom("us-east-1", "eu-central-1", "auto"),
};

/** Each is valid as a whole. */
const stores: Pick<SettingsFile, "values" | "secrets">[] = [
  { values: { objectStore: "local" }, secrets: [] },
  { values: { objectStore: "none" }, secrets: [] },
  { values: { objectStore: "aws", bucket: "our-budgie-backups" }, secrets: [] },
  {
    values: {
      objectStore: "s3",
      bucket: "our-budgie-backups",
      s3Endpoint: "http://127.0.0.1:9",
      s3AccessKeyId: KEY,
      s3SecretAccessKey: `${KEY}-secret`,
    },
    secrets: ["s3AccessKeyId", "s3SecretAccessKey"],
  },
];

const wrongAlone = (name: string, ...values: string[]): Fault[] =>
  values.map(value => ({
    about: name,
    values: { [name]: value },
    problem: `budgie:${name} ${value === "" ? "is not set" : `is ${JSON.stringify(value)}`}.`,
  }));

const faults: Fault[] = [
  ...wrongAlone("namePrefix", "Budgie!", "a--b", "-", "x".repeat(31)),
  ...wrongAlone("databaseName", "", "postgres", "1st", "Robert'); DROP TABLE users"),
  ...wrongAlone("httpPort", "", "0", "65536", "eighty", "8080 "),
  ...wrongAlone("httpAddress", "localhost", "::1", "1.2.3"),
  ...wrongAlone("frontendUrl", "example.com", "ftp://example.com"),
  ...wrongAlone("backupDir", "", ".", "/", "c:\\backups"),
  ...wrongAlone("backupFormat", "zip", "SQL"),
  ...wrongAlone("backupRecipients", "age1", "ssh-ed25519 AAAA"),
  ...wrongAlone("backupSchedule", "nightly", "0 2 * *", "0 0 30 2 *", "61 2 * * *"),
  ...wrongAlone("timezone", "", "Berlin/Europe", "+01:00"),
  ...wrongAlone("backupJitterSeconds", "-1", "soon"),
  ...wrongAlone("keepDays", "0", "1.5"),
  ...wrongAlone("keepAtLeast", "0", "all"),
  ...wrongAlone("keepWeeks", "-4"),
  ...wrongAlone("destroyGraceSeconds", "5", "1e9"),
  ...wrongAlone("backendSecretsInEnvironment", "yes", "True"),
  ...wrongAlone("backends", "0", "20", "many"),
  ...wrongAlone("engineHost", "docker.sock", "http://localhost"),
  ...wrongAlone("region", "EU Central"),
  ...["httpPrt", "databaseNam", "keepDay", "anything-at-all"].map(name => ({
    about: name,
    values: { [name]: "secret-canary" },
    problem: `budgie:${name} is not a setting.`,
  })),
  {
    about: "databasePassword",
    values: { databasePassword: "a secret canary" },
    secrets: ["databasePassword"],
    problem: "budgie:databasePassword has a value that is not usable.",
  },
  {
    about: "databasePassword",
    values: { databasePassword: "secret-canary-1" },
    problem: "budgie:databasePassword is in plain text",
  },
  {
    about: "databasePassword",
    values: { databasePassword: "Passwort123" },
    secrets: ["databasePassword"],
    problem: "budgie:databasePassword is easily guessed.",
  },
  {
    about: "sessionSecret",
    values: { sessionSecret: "secret-canary" },
    secrets: ["sessionSecret"],
    problem: "budgie:sessionSecret has a value that is not usable.",
  },
  {
    about: "backend",
    values: { backendTarget: "production" },
    problem: "budgie:backendTarget is set, but budgie:backendContext, which it belongs to, is not.",
  },
  {
    about: "backend",
    values: { backendContext: "./backend", backendImage: "budgie:1" },
    problem: "budgie:backendImage and budgie:backendContext are both set",
  },
  {
    about: "backend",
    values: { backendContext: "./there-is-none" },
    problem: 'budgie:backendContext is "./there-is-none", and there is no folder',
  },
  {
    about: "ssh",
    values: { offsiteSshHostKey: SSH_HOST_KEY },
    problem: "budgie:offsiteSshHostKey is set, but budgie:offsiteSshKey, which it belongs to, is not.",
  },
  {
    about: "lifecycle",
    values: { offsiteTransitionDays: "30" },
    problem: "budgie:offsiteTransitionDays is set, but budgie:offsiteTransitionClass",
  },
];

/** At most one of each `about`. */
const someFaults = fc.uniqueArray(fc.constantFrom(...faults), {
  maxLength: 6,
  selector: ({ about }) => about,
});

/** About half of the files have no fault. The program may name the `problems` and nothing else. */
export const settingsFile: fc.Arbitrary<SettingsFile> = fc
  .record({
    values: fc.record(harmless, { requiredKeys: [] }),
    store: fc.constantFrom(...stores),
    stack: fc.constantFrom("dev", "staging", "prod", "production-2"),
    chosen: fc.oneof(fc.constant<Fault[]>([]), someFaults),
    portsCollide: fc.boolean(),
  })
  .map(({ values, store, stack, chosen, portsCollide }) => {
    const file: SettingsFile = {
      stack,
      values: { databaseName: "budgie_dev", ...values, ...store.values },
      secrets: [...store.secrets],
      problems: [],
    };
    for (const fault of chosen) {
      Object.assign(file.values, fault.values);
      file.secrets.push(...(fault.secrets ?? []));
      file.problems.push(
        fault.problem,
        ...(fault.about === "ssh"
          ? ["budgie:offsiteSshHostKey is set, but budgie:offsiteSsh, which it belongs to, is not."]
          : []),
      );
    }
    if (chosen.length > 0 && portsCollide && !chosen.some(({ about }) => /^http/.test(about))) {
      Object.assign(file.values, { httpAddress: "127.0.0.1", httpPort: "8080", databasePort: "8080" });
      file.problems.push("budgie:databasePort and budgie:httpPort are both 8080.");
    }
    const { objectStore } = file.values;
    if (stack.startsWith("prod") && (objectStore === "local" || objectStore === "none"))
      file.problems.push(`budgie:objectStore is ${objectStore}, and there is no budgie:offsiteSsh`);
    return file;
  });

/** The file as the program gets it, with defaults for everything left out. */
export function configurationOf({ stack, values, secrets }: SettingsFile) {
  const full = (name: string) => `budgie:${name}`;
  const own = Object.fromEntries(Object.entries(values).map(([name, value]) => [full(name), value]));
  const secretNames = secrets.map(full);
  return { stack, values: { ...DEFAULTS, ...own }, secretNames };
}

/** What is wrong with the program's answer to the file; null when it is right. */
export function wrongAnswer(file: SettingsFile, refusal: string | null): string | null {
  if (refusal === null) return file.problems.length === 0 ? null : "it was accepted";
  // Anything that fails before resources are declared ends as a refusal too, one that names no setting.
  if (file.problems.length === 0) return `it was refused, and nothing is wrong with it:\n${refusal}`;
  const said = refusal.split("\n\n").slice(1);
  const missing = file.problems.filter(problem => !said.some(text => text.startsWith(problem)));
  const unfounded = said.filter(text => !file.problems.some(problem => text.startsWith(problem)));
  if (missing.length > 0) return `not said: ${missing.join("; ")}. Said was:\n${refusal}`;
  if (unfounded.length > 0) return `said, and not so: ${unfounded.join("; ")}`;
  if (said.length !== file.problems.length) return `said more than once:\n${refusal}`;
  if (/secret-canary|secret canary/i.test(refusal)) return `a secret is shown:\n${refusal}`;
  return null;
}
