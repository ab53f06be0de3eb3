/** Why an API does not come up, as its log tells it, and the setting that is probably wrong. */
export interface BackendAdvice {
  why: string;
  next: string;
}

interface Sign {
  says: RegExp;
  advice(given: Given): BackendAdvice;
}

interface Given {
  /** Whether the secrets are in the environment: `budgie:backendSecretsInEnvironment`. */
  inEnvironment: boolean;
  user: string;
}

const UP = "npm run pulumi -- up";
const IMAGE = `npm run pulumi -- config set budgie:backendImage IMAGE     # the one that made the tables\n${UP}`;

/** The first that fits counts: what comes later in an API's start stands lower. */
const SIGNS: readonly Sign[] = [
  {
    says: /exec format error|no matching manifest|cannot execute binary file/i,
    advice: () => ({
      why: "Its image is for another kind of processor than the engine's.",
      next: `npm run pulumi -- config set budgie:backendImage IMAGE     # one for this machine\n${UP}`,
    }),
  },
  {
    says: /password must be a (?:non-empty )?string|no password supplied|password authentication failed|(?:DB_PASSWORD|SESSION_SECRET)\b(?!_FILE)[^\n]*(?:required|missing|not set|undefined|must)|secret option required|secretOrPrivateKey must have a value/i,
    advice: ({ inEnvironment }) =>
      inEnvironment
        ? {
            why: "It does not get in with the password that it has, or it lacks a variable with another name.",
            next: `npm run pulumi -- up --refresh     # sets the database's password again, and makes the API's container again`,
          }
        : {
            why: "It did not find its secrets. They are in files (DB_PASSWORD_FILE, SESSION_SECRET_FILE), and some images read variables alone (budgie:backendSecretsInEnvironment).",
            next: `npm run pulumi -- config set budgie:backendSecretsInEnvironment true     # whoever may inspect the container sees them then\n${UP}`,
          },
  },
  {
    says: /_FILE: \S+ cannot be read/,
    advice: () => ({
      why: "Its secret files are not there, or its user may not read them.",
      next: `npm run pulumi -- up --refresh`,
    }),
  },
  {
    says: /the migration \S+ failed, and nothing of it was kept/,
    advice: () => ({
      why: "A migration of this version does not fit the data. What it began was taken back, and the API does not start until the data or the code is another one.",
      next: `git checkout VERSION     # the code that ran before, or one whose migration fits
${UP}
npx budgie list     # where that code finds a newer schema, because an earlier migration of this version succeeded: the backup from before
npx budgie restore BACKUP`,
    }),
  },
  {
    says: /migrated by a newer backend/,
    advice: () => ({
      why: "A newer version of the API has changed the schema since (budgie:backendImage, budgie:backendContext).",
      next: `${IMAGE}
npx budgie restore BACKUP     # or the database as it was before that version; npx budgie list shows the backups`,
    }),
  },
  {
    says: /tables that another backend made|relation "[^"]+" already exists|column "?[\w.]+"? (?:of relation "[^"]+" )?does not exist|contains null values|duplicate key value/i,
    advice: () => ({
      why: "The database holds tables that another API, or another version of this one, made (budgie:backendImage, budgie:backendContext).",
      next: IMAGE,
    }),
  },
  {
    says: /in a read-only transaction/i,
    advice: ({ user }) => ({
      why: "Its role, or the database, is set to read only (default_transaction_read_only).",
      next: `npx budgie psql -- -c "ALTER ROLE ${user} RESET default_transaction_read_only"     # and the same of the database, with ALTER DATABASE\n${UP}`,
    }),
  },
  {
    says: /too many clients already|too many connections for|connection slots are reserved/i,
    advice: () => ({
      why: "Others have taken every connection of the database.",
      next: `npx budgie status     # who, and what ends the idle ones\n${UP}`,
    }),
  },
  {
    says: /Cannot find module|ERR_MODULE_NOT_FOUND|executable file not found|no such file or directory/i,
    advice: () => ({
      why: "Its image does not hold what it starts (budgie:backendImage, budgie:backendContext).",
      next: `npm run pulumi -- config set budgie:backendImage IMAGE     # one of Budgie's API\n${UP}`,
    }),
  },
];

/** Undefined for a log that says none of what is known here. */
export function backendAdvice(log: string, given: Given): BackendAdvice | undefined {
  return SIGNS.find(({ says }) => says.test(log))?.advice(given);
}

/** The lines that say something: not where in the program it was. */
export function withoutStackTrace(log: string): string {
  return log
    .split("\n")
    .filter(line => !/^\s+at (?:async )?\S/.test(line))
    .filter((line, at, all) => line.trim() !== "" || all[at - 1]?.trim() !== "")
    .join("\n")
    .trim();
}
