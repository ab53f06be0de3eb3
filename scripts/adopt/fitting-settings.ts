import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { DATABASE_NAME } from "../../shared/names.ts";
import { isEasilyGuessed, SESSION_SECRET_LENGTH, secretPattern } from "../../shared/secrets.ts";
import type { NewSetting } from "../stack/project-tools.ts";
import type { StackSettings } from "../stack/stack-settings.ts";
import type { OldData } from "./old-data.ts";
import { backendOf, type FoundContainer, type OldInstall } from "./old-install.ts";

/** The settings that fit an old install, and what the operator should know of them. */
export interface Fitting {
  settings: (NewSetting & { why: string })[];
  notes: string[];
}

/** @param wanted the database that was named */
export function fittingSettings(
  install: OldInstall,
  data: OldData,
  now: StackSettings,
  wanted: string | undefined,
): Fitting {
  const database = {
    name: "databaseName",
    value: chooseDatabase(install, data, now, wanted),
    secret: false,
    why: "the old database",
  };
  const backend = backendOf(install);
  if (!backend)
    return {
      settings: [database],
      notes: now.get("backendImage")
        ? []
        : [
            "The container of the old API is gone, so its image and its session secret are not known. To run Budgie's own: npm run pulumi -- config set budgie:backendImage IMAGE",
          ],
    };
  const session = sessionSecret(backend);
  const frontend = backend.environment.FRONTEND_URL;
  return {
    settings: [
      database,
      { name: "backendImage", value: imageOf(backend), secret: false, why: `what ${backend.name} runs on` },
      {
        name: "backendSecretsInEnvironment",
        value: String(!("DB_PASSWORD_FILE" in backend.environment)),
        secret: false,
        why: "how that image takes them",
      },
      ...(frontend && isWebAddress(frontend)
        ? [{ name: "frontendUrl", value: frontend, secret: false, why: "whose pages may call the API" }]
        : []),
      ...(session.value === undefined
        ? []
        : [
            {
              name: "sessionSecret",
              value: session.value,
              secret: true,
              why: "the old one: who is signed in stays signed in",
            },
          ]),
    ],
    notes: session.note === undefined ? [] : [session.note],
  };
}

/** By what the old API was told, then the old server, then the stack; else the only one. Throws a Stop where that does not tell. */
function chooseDatabase(
  install: OldInstall,
  { databases }: OldData,
  now: StackSettings,
  wanted: string | undefined,
): string {
  const names = databases.map(({ name }) => name);
  const told = [
    backendOf(install)?.environment.DB_NAME,
    install.database?.environment.POSTGRES_DB,
    install.database?.environment.POSTGRES_USER,
    now.get("databaseName"),
    ...(names.length === 1 ? names : []),
  ];
  const chosen = wanted ?? told.find(name => name !== undefined && names.includes(name));
  if (chosen === undefined || !names.includes(chosen))
    throw new Stop(
      EXIT.usage,
      `${wanted === undefined ? "Which database is Budgie's is not clear" : `There is no database ${wanted}`}: the volume ${install.volume} holds ${names.join(", ")}. Nothing was changed.`,
      `Say which one: npx budgie adopt --database ${names[0]}`,
    );
  if (DATABASE_NAME.test(chosen)) return chosen;
  throw new Stop(
    EXIT.usage,
    `The database is called ${JSON.stringify(chosen)}, and a stack's has 1 to 40 lower-case letters, digits and underscores. Nothing was changed.`,
    `Give it such a name with the old server, without the old API, then run the same command again: ALTER DATABASE "${chosen}" RENAME TO budgie_dev`,
  );
}

/** An image that lost its name to a newer one is known by its id alone. */
function imageOf({ image, imageId }: FoundContainer): string {
  return /^(sha256:)?[0-9a-f]{12,64}$/.test(image) ? adoptedImageName(imageId) : image;
}

/** The name that such an image is given. */
export function adoptedImageName(imageId: string): string {
  return `budgie-adopted-backend:${imageId.replace(/^sha256:/, "").slice(0, 12)}`;
}

/** Never told to anybody: only why it cannot be taken over. */
function sessionSecret({ environment }: FoundContainer): { value?: string; note?: string } {
  const { SESSION_SECRET: value } = environment;
  const again = "The stack makes a new one, and users sign in again.";
  if (!value)
    return {
      note: `The old session secret is in no variable of the old API. ${again}`,
    };
  if (value.length < SESSION_SECRET_LENGTH)
    return {
      note: `The old session secret is shorter than ${SESSION_SECRET_LENGTH} characters. ${again}`,
    };
  if (!secretPattern(SESSION_SECRET_LENGTH).test(value) || isEasilyGuessed(value))
    return {
      note: `The old session secret is easily guessed, or has blanks or letters outside ASCII. ${again}`,
    };
  return { value };
}

function isWebAddress(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}
