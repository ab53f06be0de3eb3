// Started by local-server.ts with its standard input held open by the test process. Runs a server until that input closes:
// because the test says so, or because its process ended, however it ended (kill -9 included); then the server's folder
// goes too. Usage: node this-file FOLDER LOG FILE ARGUMENTS
import { spawn } from "node:child_process";
import { openSync, rmSync } from "node:fs";

const [folder, log, file, ...args] = process.argv.slice(2);
const output = openSync(log, "a");
const server = spawn(file, args, { stdio: ["ignore", output, output] });

let keepFolder = false;
process.stdin.on("data", text => {
  keepFolder = text.toString() === "keep";
});
process.stdin.on("error", () => {});
process.stdin.on("close", () => server.kill("SIGKILL"));
server.on("error", () => process.exit(127));
server.on("exit", code => {
  process.stdin.destroy();
  if (code === null && !keepFolder) rmSync(folder, { recursive: true, force: true });
  process.exitCode = code ?? 0;
});
