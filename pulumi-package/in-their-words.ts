const SET = /npm run pulumi -- config set (?:--secret )?budgie:(\w+)(?: (\S+))?/g;

/**
 * A message of the stack, for somebody who uses a part of it in a program: what is a setting there is an argument here, and Pulumi is
 * theirs.
 */
export function inTheirWords(message: string, component: string): string {
  return message
    .replace(SET, (_, name: string, value?: string) =>
      value === undefined ? `set the argument ${name}` : `set the argument ${name} to ${value}`,
    )
    .replaceAll("npm run pulumi -- ", "pulumi ")
    .replace(/\bnpm run up\b/g, "pulumi up")
    .replace(/budgie:(\w+)/g, `the argument $1 of ${component}`);
}
