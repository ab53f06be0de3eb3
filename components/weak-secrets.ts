import { NAMESPACE, type Problem, type SettingDefinition, setCommand } from "./setting-definition.ts";

/** What is tried first by whoever guesses. Compared without digits, signs and case. */
const WELL_KNOWN = new Set(
  "admin,administrator,budgie,budgieuser,budgiedev,budgieproduction,changeme,changethis,default,example,letmein,passwd,password,passwort,postgres,postgresql,qwerty,qwertz,secret,sessionsecret,supersecret,test,yourpassword,yoursecret".split(
    ",",
  ),
);
const DIFFERENT_CHARACTERS = 5;
/** Dates and telephone numbers are shorter. */
const LENGTH_WITHOUT_LETTERS = 16;

interface Secrets {
  databasePassword?: string | undefined;
  sessionSecret?: string | undefined;
}

/** Passwords of the operator's own that protect nothing. Never shows one. */
export function weakSecrets(
  values: Secrets,
  definitions: Record<keyof Secrets, SettingDefinition>,
): Problem[] {
  const { databasePassword, sessionSecret } = values;
  const problem = (name: keyof Secrets, why: string) => ({
    what: `${NAMESPACE}:${name} ${why}. Leave it out and one is generated, or take another.`,
    type: setCommand(name, definitions[name]),
  });
  const weak = (["databasePassword", "sessionSecret"] as const)
    .filter(name => isEasilyGuessed(values[name]))
    .map(name => problem(name, "is easily guessed"));
  if (databasePassword === undefined || databasePassword !== sessionSecret) return weak;
  return [...weak, problem("sessionSecret", `is the same as ${NAMESPACE}:databasePassword`)];
}

function isEasilyGuessed(secret: string | undefined): boolean {
  if (secret === undefined) return false;
  const letters = secret.toLowerCase().replace(/[^a-z]/g, "");
  if (letters === "" && secret.length < LENGTH_WITHOUT_LETTERS) return true;
  return new Set(secret).size < DIFFERENT_CHARACTERS || WELL_KNOWN.has(letters);
}
