// npm run messages:page: writes docs/messages.md from the program's source.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";
import { findMessages, type Message } from "./find-messages.ts";

export const MESSAGES_PAGE = join(PROJECT_FOLDER, "docs", "messages.md");

/** The page as it should be. */
export function messagesPage(): string {
  const messages = findMessages();
  const folders = [...new Set(messages.map(folderOf))];
  return [
    "# Messages",
    "",
    "Everything that the program may end with, and what to type next. `npm run messages:page` makes this page from the source. Change",
    "that, not this page. `{…}` stands for what is filled in, ` / ` for one text or the other, ⏎ for a new line. The number is the exit code",
    "([all of them](commands.md#exit-codes-of-npx-budgie)).",
    "",
    ...folders.flatMap(folder =>
      section(
        folder,
        messages.filter(message => folderOf(message) === folder),
      ),
    ),
  ].join("\n");
}

function folderOf({ file }: Message): string {
  return file.split("/").slice(0, -1).join("/");
}

function section(folder: string, messages: readonly Message[]): string[] {
  const rows = messages.map(
    ({ text, next, exit }) => `| ${cell(text)} | ${cell(next ?? "")} | ${exit ?? ""} |`,
  );
  return [
    `## ${folder}`,
    "",
    "| message | what to type next | |",
    "| --- | --- | --- |",
    ...new Set(rows),
    "",
  ];
}

function cell(text: string): string {
  return text
    .replaceAll("|", "\\|")
    .replace(/\s*\n\s*/g, " ⏎ ")
    .trim();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(MESSAGES_PAGE, messagesPage());
}
