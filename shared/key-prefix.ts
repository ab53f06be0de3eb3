/** What every key of a stack begins with in its bucket: `dev/`. */
export function keyPrefix(stack: string): string {
  return `${stack}/`;
}
