const SET = /npm run pulumi -- config set (?:--secret )?budgie:(\w+)(?: (\S+))?/g;

/**
 * A message of the stack, for somebody who uses a part of it in a program: what is a setting there is an argument here, and Pulumi is
 * theirs. It names the component, because Pulumi shows it for each component of the program that is being made at the same time.
 */
export function inTheirWords(message: string, component: string): string {
  return message
    .replace(SET, (_, name: string, value?: string) =>
      value === undefined
        ? `set the argument ${name} of ${component}`
        : `set the argument ${name} of ${component} to ${value}`,
    )
    .replaceAll("npm run pulumi -- ", "pulumi ")
    .replace(/\bnpm run up\b/g, "pulumi up")
    .replace(/budgie:(\w+)/g, `the argument $1 of ${component}`);
}
