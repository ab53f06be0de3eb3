/** The labels of docker compose and of podman-compose, in the order in which they are looked for. */
const PROJECT_LABELS = ["com.docker.compose.project", "io.podman.compose.project"];

/** The compose project that something on the engine belongs to; undefined when it belongs to none. */
export function composeProject(labels: Record<string, string> | undefined): string | undefined {
  return PROJECT_LABELS.map(label => labels?.[label]).find(project => project !== undefined);
}
