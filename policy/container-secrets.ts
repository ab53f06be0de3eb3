import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, ofType } from "./resource-of-type.ts";
import { eachKnown } from "./unknown-values.ts";

const SECRET_NAME =
  /PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY|(^|_)(KEY|PASS|PWD)($|_)/i;
const FILE = /^\/[^\s:]*$/;
const PUBLIC_KEY = /^(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+( .*)?$/;
const SWITCH = /^(true|false)?$/;
const PASSWORD_IN_ADDRESS = /[a-z][a-z0-9+.-]*:\/\/[^\s/@]*:[^\s/@]+@/i;

/** The message names the variable and never its value: violations are printed, and kept in CI's logs. */
export const noSecretsInEnvironment: ResourceValidationPolicy = {
  name: "no-secrets-in-environment",
  description: "No container has a secret in its environment, where `docker inspect` shows it.",
  severity: "high",
  validateResource: ofType<ContainerArgs>(CONTAINER, (container, { name }, report) => {
    eachKnown(container.envs, env => {
      const [variable, value] = parts(env);
      if (!isSecret(variable, value)) return;
      report(
        `The container ${name} has a secret in its variable ${variable}: everyone who may call \`docker inspect\`, and every ` +
          `program in the container, can read it. Type: uploads: [{ file: "/run/secrets/…", content, permissions: "0400" }] ` +
          `and ${variable}_FILE=/run/secrets/…; for the API: npm run pulumi -- config rm budgie:backendSecretsInEnvironment`,
      );
    });
  }),
};

function parts(env: string): [variable: string, value: string] {
  const at = env.indexOf("=");
  return at === -1 ? [env, ""] : [env.slice(0, at), env.slice(at + 1)];
}

function isSecret(variable: string, value: string): boolean {
  if (PASSWORD_IN_ADDRESS.test(value)) return true;
  return SECRET_NAME.test(variable) && ![FILE, PUBLIC_KEY, SWITCH].some(harmless => harmless.test(value));
}
