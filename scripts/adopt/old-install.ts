import type Docker from "dockerode";
import { composeProject } from "../../engine/compose-project.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { databaseVolumeName } from "../../shared/names.ts";

/** A container as the engine shows it, as far as taking over an old install asks. */
export interface FoundContainer {
  id: string;
  name: string;
  /** `running`, `paused`, `exited`, … */
  state: string;
  /** As it was asked for when the container was made. */
  image: string;
  imageId: string;
  labels: Record<string, string>;
  environment: Record<string, string>;
  mounts: FoundMount[];
  /** Of the engine's machine; the address is empty for all. */
  ports: { address: string; port: number }[];
  networks: string[];
}

export interface FoundMount {
  /** The volume's name; null for a folder of the machine. */
  volume: string | null;
  folder: string;
  /** Where the container has it. */
  path: string;
}

export interface FoundVolume {
  name: string;
  labels: Record<string, string>;
}

/** What the engine has. */
export interface Found {
  containers: FoundContainer[];
  volumes: FoundVolume[];
}

/** Budgie as its own compose file has set it up: one database, and what belongs to it. */
export interface OldInstall {
  /** With the data; null when that is in a folder of the machine. */
  volume: string | null;
  /** Where a folder is, for the operator. */
  folder: string;
  /** The compose project, where one is known. */
  project: string | undefined;
  /** Undefined when its container is gone. */
  database: FoundContainer | undefined;
  /** Every container of it, the database's too. */
  containers: FoundContainer[];
}

/** What does not run and does not start by itself needs no stop. */
const AT_WORK: readonly string[] = ["running", "restarting", "paused"];
const DATA_PATH = "/var/lib/postgresql";
const BUDGIE = /budgie/i;
/** `budgie-postgres-data`, `budgie_budgie-postgres-data`, `budgie_postgres_data`, `budgie-prod-db`, … */
const DATA_VOLUME = /^(?!.*backup).*(postgres|pg.?data|database|db)/i;
/** Volumes that the stack itself has, beside the database's. */
const OTHER_VOLUME = /-(object-store-data|backup-records)$/;
/** What the database's container is called behind the name of its install: `budgie-db`, `budgie_postgres_1`. */
const DATABASE_SUFFIX = /[-_](db|database|postgres|postgresql)([-_]\d+)?$/;

export function isAtWork({ state }: FoundContainer): boolean {
  return AT_WORK.includes(state);
}

/** Looks at every container and volume. Throws when the engine does not say. */
export async function lookAround(client: Docker): Promise<Found> {
  const [listed, { Volumes: volumes }] = await Promise.all([
    client.listContainers({ all: true }),
    client.listVolumes(),
  ]);
  const made = await Promise.all(
    listed.map(({ Id: id }) => unlessMissing(client.getContainer(id).inspect())),
  );
  return {
    containers: made.flatMap(container => (container ? [found(container)] : [])),
    volumes: (volumes ?? []).map(({ Name: name, Labels: labels }) => ({ name, labels: labels ?? {} })),
  };
}

function found(made: Docker.ContainerInspectInfo): FoundContainer {
  const { Config: config, HostConfig: host, NetworkSettings: network, State: state } = made;
  const bindings = Object.values((host.PortBindings ?? {}) as Record<string, Binding[] | null>);
  return {
    id: made.Id,
    name: made.Name.replace(/^\//, ""),
    state: state.Status,
    image: config.Image,
    imageId: made.Image,
    labels: config.Labels ?? {},
    environment: variables(config.Env ?? []),
    mounts: (made.Mounts ?? []).map(({ Name: name, Source: folder, Destination: path }) => ({
      volume: name || null,
      folder,
      path,
    })),
    ports: bindings.flatMap(list =>
      (list ?? []).map(({ HostIp: address = "", HostPort: port }) => ({ address, port: Number(port) })),
    ),
    networks: Object.keys(network.Networks ?? {}),
  };
}

interface Binding {
  HostIp?: string;
  HostPort: string;
}

function variables(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

/**
 * The old installs that there are. One is told by a PostgreSQL container that belongs to no stack and whose name, volume or compose
 * project speaks of Budgie; or, where that is gone, by its volume. A volume that a stack has is none.
 */
export function oldInstalls({ containers, volumes }: Found, prefix: string): OldInstall[] {
  const speaksOfIt = (...texts: (string | null | undefined)[]) =>
    texts.some(text => text && (BUDGIE.test(text) || text.includes(prefix)));
  const isBudgies = ({ labels }: FoundContainer) =>
    labels[LABEL.prefix] !== undefined || labels[LABEL.volumeWork] !== undefined;
  const foreign = containers.filter(one => !isBudgies(one));
  const ofStacks = new Set(
    containers
      .filter(({ labels }) => labels[LABEL.volumeWork] === undefined)
      .filter(one => !foreign.includes(one))
      .flatMap(({ mounts }) => mounts.map(mount => mount.volume)),
  );
  const installs = new Map<string, OldInstall>();
  for (const database of [...foreign].sort(atWorkFirst)) {
    const mount = database.mounts.find(({ path }) => path === DATA_PATH || path.startsWith(`${DATA_PATH}/`));
    if (!mount || installs.has(mount.volume ?? mount.folder)) continue;
    if (!speaksOfIt(database.name, mount.volume, composeProject(database.labels))) continue;
    if (ofStacks.has(mount.volume) && !isAtWork(database)) continue;
    const project = composeProject(database.labels);
    installs.set(mount.volume ?? mount.folder, {
      ...mount,
      project,
      database,
      containers: foreign.filter(one => belongsTo(one, database, mount)),
    });
  }
  for (const { name, labels } of volumes) {
    const isStacks = labels[LABEL.prefix] !== undefined || ofStacks.has(name) || OTHER_VOLUME.test(name);
    if (isStacks || installs.has(name) || !DATA_VOLUME.test(name) || !speaksOfIt(name)) continue;
    const project = composeProject(labels);
    const members =
      project === undefined ? [] : foreign.filter(one => composeProject(one.labels) === project);
    // Its database's container is gone. A project that has another database has nothing to do with this volume any more.
    const alone = [...installs.values()].some(install => install.project === project);
    installs.set(name, {
      volume: name,
      folder: name,
      project,
      database: undefined,
      containers: alone ? [] : members,
    });
  }
  return [...installs.values()];
}

function atWorkFirst(one: FoundContainer, other: FoundContainer): number {
  return Number(isAtWork(other)) - Number(isAtWork(one)) || one.name.localeCompare(other.name);
}

/** By the compose project; what was started by hand, by the beginning of its name or the same volume. */
function belongsTo(one: FoundContainer, database: FoundContainer, { volume, folder }: FoundMount): boolean {
  if (one === database) return true;
  const project = composeProject(database.labels);
  if (project !== undefined) return composeProject(one.labels) === project;
  const stem = database.name.replace(DATABASE_SUFFIX, "");
  const named = stem !== database.name && ["-", "_"].some(sign => one.name.startsWith(stem + sign));
  const sharesData = one.mounts.some(mount =>
    volume === null ? mount.folder === folder : mount.volume === volume,
  );
  return composeProject(one.labels) === undefined && (named || (sharesData && !isAtWork(one)));
}

/**
 * The one that is meant: of the volume that was named; else the only one that has the stack's prefix in its names; else the only one.
 * Throws a Stop when there is none, or more than one: guessing would be how one stack gets another's data.
 */
export function chooseInstall(
  installs: readonly OldInstall[],
  { prefix, volume }: { prefix: string; volume?: string | undefined },
): OldInstall {
  if (volume !== undefined) {
    const named = installs.find(install => install.volume === volume);
    if (named) return named;
    throw new Stop(
      EXIT.usage,
      `There is no old install of Budgie on the volume ${volume}; ${installs.length === 0 ? "there is none at all" : `there is ${installs.map(shownInstall).join("; ")}`}. Nothing was changed.`,
      "See the volumes and who has them: docker ps -a --format '{{.Names}} {{.Mounts}}' (or podman), then name one: npx budgie adopt --volume NAME",
    );
  }
  const close = installs.filter(({ volume: name, project, containers }) =>
    [name, project, ...containers.map(container => container.name)].some(text => text?.includes(prefix)),
  );
  const [install, another] = close.length > 0 ? close : installs;
  if (!install)
    throw new Stop(
      EXIT.engineOrContainerMissing,
      "There is no old install of Budgie on this container engine: no PostgreSQL container and no volume whose name or compose project speaks of it. Nothing was changed.",
      "If it is on another engine, name that: npm run pulumi -- config set budgie:engineHost unix:///run/podman/podman.sock. To begin with an empty database: npm run up",
    );
  if (another)
    throw new Stop(
      EXIT.usage,
      `There are several old installs of Budgie here: ${(close.length > 0 ? close : installs).map(shownInstall).join("; ")}. Nothing was changed.`,
      `Say which one: npx budgie adopt --volume ${install.volume ?? "NAME"}`,
    );
  return install;
}

/** `the volume budgie-postgres-data (budgie-db running, budgie-backend exited)`. */
export function shownInstall({ volume, folder, containers }: OldInstall): string {
  const who = containers.map(({ name, state }) => `${name} ${state}`).join(", ");
  return `the ${volume === null ? `folder ${folder}` : `volume ${volume}`} (${who || "no container"})`;
}

/** Where Budgie's API ran: what speaks to the database, or is called so. */
export function backendOf({ containers, database }: OldInstall): FoundContainer | undefined {
  const others = containers.filter(one => one !== database);
  const has = (...names: string[]) =>
    others.find(({ environment }) => names.some(name => name in environment));
  return (
    has("DB_PASSWORD", "DB_PASSWORD_FILE", "DB_NAME") ??
    has("SESSION_SECRET", "SESSION_SECRET_FILE") ??
    others.find(({ name }) => /[-_](backend|api|server)([-_]\d+)?$/.test(name))
  );
}

/** Whether the stack's database gets the very volume that the old one has. */
export function isInPlace({ volume }: OldInstall, prefix: string): boolean {
  return volume === databaseVolumeName(prefix);
}
