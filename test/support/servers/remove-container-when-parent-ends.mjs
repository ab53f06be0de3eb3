// Started by postgres.ts with its standard input held open by the test process. When that process ends, however it ends
// (kill -9 included), the input closes and the container is removed. Usage: node this-file CONTAINER_ID
import Docker from "dockerode";

const container = new Docker().getContainer(process.argv[2]);
process.stdin.resume();
process.stdin.on("error", () => {});
process.stdin.on("close", async () => {
  // A throw-away test container with its anonymous volume.
  await container.remove({ force: true, v: true }).catch(() => {});
});
