declare module "pgpass" {
  /** Looks the password up in the file at PGPASSFILE; undefined when no line fits. */
  export default function pgpass(
    connection: { host: string; port: number; user: string; database: string },
    callback: (password: string | undefined) => void,
  ): void;
}
