// How a command says what the operator must see, and how another program reads it.

const FAILURE = "[✗] ";
const WARNING = "[!] ";

/** Why a command failed, and what to type next. */
export function failureText(what: string, next?: string): string {
  return `${FAILURE}${what}\n${next ? `    ${next}\n` : ""}`;
}

/**
 * Why a command failed and what to type next, by lines, out of all that it printed. Undefined when it does not say why.
 */
export function failureLines(printed: string): [what: string, ...next: string[]] | undefined {
  const lines = printed.trim().split("\n");
  const at = lines.findIndex(line => line.startsWith(FAILURE));
  const [what, ...next] = lines.slice(at);
  return at < 0 || what === undefined ? undefined : [what.slice(FAILURE.length), ...next];
}

/** What a command warned of. */
export function warningsIn(printed: string): string[] {
  return printed
    .split("\n")
    .filter(line => line.startsWith(WARNING))
    .map(line => line.slice(WARNING.length));
}
