import { isEasilyGuessed } from "../shared/secrets.ts";
import { NAMESPACE, type Problem, type SettingDefinition, setCommand } from "./definition.ts";

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
    .filter(name => {
      const secret = values[name];
      return secret !== undefined && isEasilyGuessed(secret);
    })
    .map(name => problem(name, "is easily guessed"));
  if (databasePassword === undefined || databasePassword !== sessionSecret) return weak;
  return [...weak, problem("sessionSecret", `is the same as ${NAMESPACE}:databasePassword`)];
}
