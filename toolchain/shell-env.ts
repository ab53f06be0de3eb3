// Prints what a shell needs for plain `pulumi`, and nothing else, on standard output: eval "$(npm run -s shell-env)"
import { shellVariables } from "./environment.ts";
import { runMain } from "./say.ts";

await runMain(async () => {
  const { PATH, ...others } = await shellVariables();
  const added = PATH?.slice(0, -(process.env.PATH ?? "").length);
  if (added) print("PATH", `${quoted(added)}"$PATH"`);
  for (const [name, value] of Object.entries(others)) print(name, quoted(value));
  return 0;
});

function print(name: string, value: string): void {
  process.stdout.write(`export ${name}=${value}\n`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
